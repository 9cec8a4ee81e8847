"""The geometric ensemble as a value: what it draws, from which settings, at which cost."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, Literal

from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import SupportsDonation, SupportsTrainingLosses
from gexcore.ensembles.budget import Budget, default_budget, limits, planned_passes
from gexcore.ensembles.chain import (
    ChainResult,
    Snapshot,
    chain_cost,
    kept_members,
    loss_table,
    loss_table_on_test,
)
from gexcore.ensembles.drawn import Drawn
from gexcore.ensembles.execution import Work, run_chains, scorer_of
from gexcore.ensembles.plan import Constant, Plan, Schedule, Scoring
from gexcore.ensembles.resolve import USER_BATCH_SIZE, decay_of, longest, settle
from gexcore.ensembles.skill import default_clip, skill_of
from gexcore.ensembles.storage import Identity, Storage, Store, not_stored
from gexcore.ensembles.thermostat import AnyController, OpenLoop, Thermostat
from gexcore.errors import AllMembersDivergedError, InvalidSettingError
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.passes import Passes, sum_passes
from gexcore.evaluation.statistics import Refresher
from gexcore.progress import progress_bar
from gexcore.settings import Auto, check_choice, check_count, check_number

WARMUP_FROM = {"sgd": 1e-3, "adamw": 1e-5}
"""Learning rates at which the thermostat starts: small enough to do nothing."""

COPIES = 3
"""Vectors of parameters of a chain that runs: θ*, where it stands, and where its chunk began."""


@dataclass(frozen=True, kw_only=True)
class Geometric:
    """The geometric ensemble: members along short SGD runs from θ* (paper Algorithm 2).

    The members need per-sample losses and optimiser steps, nothing else. The defaults choose
    everything.

    Parameters
    ----------
    chains : int or "auto"
        Independent runs from θ*: 2, fewer under a budget.
    snapshots : int or "auto"
        Length of each chain, each snapshot starting from the one before: 24, or 32 where training
        batches are the scores, fewer under a budget; the short chunks of the warm-up come on top.
        One per chain is the independent restart of Algorithm 2, line 5.
    lr : "auto", float or schedule
        "auto" is feedback: see `gexcore.ensembles.thermostat.Thermostat`. A number, or a callable
        from a member's step to its learning rate, is used as it is; with a fixed learning rate
        the scores are often no better than plain loss, since the right one differs between
        problems by orders of magnitude.
    steps_per_snapshot : int or "auto"
        A quarter of an epoch, at least 16.
    scoring : {"auto", "evaluated", "training_batches"}
        Measure each snapshot by a pass over the data, or use the losses of its training batches:
        "auto" does where a budget does not pay for six passes.
    optimizer : {"sgd", "adamw"} or callable
        The optimiser of the training is the best choice. A callable is the framework's own factory.
    momentum : float
        The momentum of SGD.
    weight_decay : "auto" or float
        The decay of SGD or AdamW. "auto" is 0.25 ÷ batch size for SGD and 2 for AdamW. This is far
        more than in trainings: members forget first what was memorised. "auto" is none where you
        set `lr`. A factory, and a backend that you made, have their own decay.
    batch_size : int or "auto"
        Small batches (8 to 128) cost least.
    chance_loss : float, optional
        Loss of a model that knows nothing, for a loss of your own: the zero of the thermostat's
        scale. Known for the losses with a name.
    budget : "auto", float or Budget
        The most that a run may cost. A number counts forward passes over the data (a training step
        counts as three); `gexcore.Budget` counts seconds or passes of single samples as well.
        "auto" is a quarter of the pretraining where `pretraining_epochs` is known, else 34 at 5,000
        samples, 20 from 8,500 on, and none below. What is set otherwise stays; what is "auto" is
        fitted to it.
    pretraining_epochs : float, optional
        Epochs that the model was trained for.
    tolerance : float, optional
        A chain of at least eight members ends early once its own scores have this reliability
        (split half, see `gexcore.deviations.uncertainty.split_half`); at most 1.
    first_chain : int
        Number of the first chain. The seed and the number make a chain: jobs with other numbers
        add to one ensemble, see `gexcore.store.merge_stores`.
    seed : int
        Equal seeds give equal results on the same machine.

    Examples
    --------
    >>> import numpy as np
    >>> import gexcore as gx
    >>> from gexcore.evaluation.opening import opened
    >>> from gexcore_numpy import MLP
    >>> x = np.random.default_rng(0).normal(size=(60, 2))
    >>> model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
    >>> given = opened(model, (x, (x[:, 0] > 0).astype(int)), progress=False)
    >>> gx.Geometric(chains=2, snapshots=4, lr=0.1).draw(given).table.losses.shape
    (8, 60)
    """

    chains: int | Auto = "auto"
    snapshots: int | Auto = "auto"
    lr: float | Schedule | Auto = "auto"
    steps_per_snapshot: int | Auto = "auto"
    scoring: Scoring | Auto = "auto"
    optimizer: Literal["sgd", "adamw"] | Callable[..., Any] = "sgd"
    momentum: float = 0.9
    weight_decay: float | Auto = "auto"
    batch_size: int | Auto = "auto"
    chance_loss: float | None = None
    budget: float | Budget | Auto = "auto"
    pretraining_epochs: float | None = None
    tolerance: float | None = None
    first_chain: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("chains", "snapshots", "steps_per_snapshot", "batch_size"):
            check_count(name, getattr(self, name))
        if self.lr != "auto" and not callable(self.lr):
            check_number("lr", self.lr, above=True)
        for name in ("first_chain", "seed"):
            check_count(name, getattr(self, name), least=0, auto=False)
        check_number("momentum", self.momentum)
        if self.weight_decay != "auto":
            check_number("weight_decay", self.weight_decay)
        for name in ("chance_loss", "pretraining_epochs"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), above=True)
        if self.tolerance is not None:
            check_number("tolerance", self.tolerance, above=True)
            if self.tolerance > 1:
                raise InvalidSettingError(
                    f"tolerance is {self.tolerance}, and must be at most 1, a perfect ranking"
                )
        if self.budget != "auto" and not isinstance(self.budget, Budget):
            check_number("budget", self.budget, above=True)
        check_choice("scoring", self.scoring, ("auto", "evaluated", "training_batches"))
        if not callable(self.optimizer) and self.optimizer not in WARMUP_FROM:
            msg = (
                f"optimizer is {self.optimizer!r}; allowed are 'sgd', 'adamw' and the "
                "framework's own factory"
            )
            raise InvalidSettingError(msg)

    @property
    def needs(self) -> tuple[type, ...]:
        """Capabilities that the members ask of the backend."""
        if self.scoring == "training_batches":
            return (SupportsTrainingLosses, SupportsDonation)
        return ()

    @property
    def longest(self) -> int:
        """Most snapshots that a chain can have."""
        return longest(self.snapshots)

    def optimizer_for(self, samples: int) -> Optimizer:
        """The optimiser of the members for so many samples: what to give a backend that you make."""
        decay = self.weight_decay
        if isinstance(decay, str):  # a learning rate of the user's own does not give way to it
            decay = (
                decay_of(self.optimizer, samples, batch_size=self.batch_size)
                if self.lr == "auto"
                else 0.0
            )
        return Optimizer(name=self.optimizer, momentum=self.momentum, weight_decay=decay)

    def plan(self, opened: Opened) -> Plan:
        """The plan that `draw` follows; a budget in seconds takes timings first.

        Raises
        ------
        InvalidSettingError, MissingCapabilityError
            See `gexcore.ensembles.resolve.settle`.
        """
        backend, data, given = opened.backend, opened.data, self.budget
        if isinstance(given, str):
            budget = default_budget(len(data), self.pretraining_epochs)
        else:
            budget = given if isinstance(given, Budget) else Budget(epochs=given)
        plan = settle(
            backend,
            len(data),
            chains=self.chains,
            snapshots=self.snapshots,
            steps=self.steps_per_snapshot,
            batch_size=self.batch_size,
            scoring=self.scoring,
            feedback=self.lr == "auto",
            optimizer=self.optimizer,
            seed=self.seed,
            tolerance=self.tolerance,
            limits=limits(budget, backend, data, batch_size=USER_BATCH_SIZE),
            hard=self.budget != "auto",
            refreshed=Refresher(backend, data, seed=self.seed).samples,
        )
        return replace(plan, first_chain=self.first_chain)

    def draw(
        self,
        opened: Opened,
        *,
        keep: int = 0,
        store: Store | None = None,
        executor: Executor | None = None,
        title: str = "ensemble",
    ) -> Drawn:
        """Run the chains.

        Parameters
        ----------
        opened : Opened
            The model and data; the backend gets the optimiser of `optimizer_for`.
        keep : int
            Member states that each chain hands back, at most.
        store : callable, optional
            Opens what remembers the run, see `gexcore.store.stored_at`.
        executor : concurrent.futures.Executor, optional
            Runs the chains.
        title : str
            What the progress bar says.

        Raises
        ------
        InvalidDataError, InvalidModelError, InvalidSettingError, MissingCapabilityError
            Before any work beyond one pass over the data.
        AllMembersDivergedError
            No member has finite losses.
        """
        if store is not None and isinstance(self.budget, Budget) and self.budget.seconds:
            msg = (
                "a budget in seconds gives another plan every time, which no store can go on with; "
                "give it in epochs"
            )
            raise InvalidSettingError(msg)
        opened = opened.stepping_with(self.optimizer_for(len(opened.data)))
        plan, samples = self.plan(opened), len(opened.data)
        seen = opened.seen
        refresh = Refresher(opened.backend, opened.data, seed=plan.seed)
        planned = planned_passes(plan, samples, refreshed=refresh.samples)
        controller = self._controller(plan)
        by_batches, tests = plan.scoring == "training_batches", opened.test
        during = None if tests is None or by_batches else len(tests)
        identity = Identity(opened, plan, controller, keep, during is not None, self.chance_loss)
        with (store or not_stored)(identity) as storage:
            base = storage.base(lambda: scorer_of(opened, plan).base(), seen, during)
            skill = skill_of(
                seen,
                base,
                opened.loss,
                given=self.chance_loss,
                steers=self.lr == "auto",
                by_size=not by_batches,
            )
            work = Work(opened.recipe, plan, controller, skill, keep, tests is not None)
            title = f"{title}, {planned.epochs(samples):.0f} passes over the data"
            results = _run(work, opened, executor, storage, title=title)
        problem = work.problem(opened)
        members = kept_members(results, opened.backend, refresh, batch_size=plan.scoring_batch_size)
        test_table = None
        if tests is not None:
            test_table = (
                members.evaluate(tests)
                if by_batches
                else loss_table_on_test(results, members.base(tests))
            )
        started = Passes(forward=samples, copies=COPIES)
        return Drawn(
            table=loss_table(results, base),
            test_table=test_table,
            members=members,
            plan=plan,
            snapshots=tuple(snapshot for result in results for snapshot in result.snapshots),
            clip=default_clip(seen.classes) if skill is None else skill.ceiling,
            scaled=skill is not None,
            passes=sum_passes([started, *(chain_cost(problem, plan, r) for r in results)]),
            planned=planned,
            chosen=opened.chosen(),
        )

    def _controller(self, plan: Plan) -> AnyController:
        if self.lr == "auto":
            name = self.optimizer if isinstance(self.optimizer, str) else "sgd"
            return Thermostat(WARMUP_FROM[name], plan.snapshots, warmups=plan.warmups)
        if callable(self.lr):
            return OpenLoop(self.lr, plan.snapshots)
        return OpenLoop(Constant(self.lr), plan.snapshots)


def _run(
    work: Work, opened: Opened, executor: Executor | None, storage: Storage, *, title: str
) -> list[ChainResult]:
    plan = work.plan
    with progress_bar(plan.chains * plan.snapshots, title=title, show=opened.progress) as bar:

        def report(snapshot: Snapshot) -> None:
            note = (
                f"chain {snapshot.chain + 1}/{plan.numbers.stop}, lr {snapshot.lr:.2g}, "
                f"skill {snapshot.skill:.2f}"
            )
            bar.advance(note, by=not snapshot.warmup)

        results = run_chains(work, opened, executor=executor, storage=storage, report=report)
    if all(snapshot.status == "diverged" for r in results for snapshot in r.snapshots):
        msg = (
            f"all {sum(len(r.snapshots) for r in results)} members have non-finite losses; "
            'try lr="auto", a smaller lr, or the optimizer of the training'
        )
        raise AllMembersDivergedError(msg)
    return results
