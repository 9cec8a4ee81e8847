"""GEX: influence from a geometric ensemble (Kim, Kim & Yang, NeurIPS 2023)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import (
    Backend,
    Dataset,
    SupportsDonation,
    SupportsSelection,
    SupportsTrainingLosses,
)
from gexcore.ensembles.budget import Budget, default_budget, limits, planned_passes
from gexcore.ensembles.chain import (
    ChainResult,
    Snapshot,
    chain_cost,
    kept_members,
    loss_table,
    loss_table_on_test,
)
from gexcore.ensembles.execution import Work, run_chains, scorer_of
from gexcore.ensembles.plan import Constant, Cosine, Plan, Schedule, Scoring
from gexcore.ensembles.resolve import USER_BATCH_SIZE, decay_of, settle
from gexcore.ensembles.skill import ClassSkill, Losses, LossSkill, Skill, chance_loss, default_clip
from gexcore.ensembles.storage import Storage
from gexcore.ensembles.thermostat import AnyController, OpenLoop, Thermostat
from gexcore.errors import AllMembersDivergedError, InvalidModelError, InvalidSettingError
from gexcore.evaluation.first_look import Intake, take_in
from gexcore.evaluation.opening import Inputs, open_inputs
from gexcore.evaluation.passes import Passes, sum_passes
from gexcore.evaluation.selection import Parameters, selected
from gexcore.evaluation.statistics import Refresher
from gexcore.influence.loss_influence import LossInfluence
from gexcore.influence.record import Run, settings_of
from gexcore.progress import progress_bar
from gexcore.settings import Auto, check_count, check_number
from gexcore.store import Place, storage_of

WARMUP_FROM = {"sgd": 1e-3, "adamw": 1e-5}
"""Learning rates at which the thermostat starts: small enough to do nothing."""

COPIES = 3
"""Vectors of parameters of a chain that runs: θ*, where it stands, and where its chunk began."""


@dataclass(frozen=True, kw_only=True)
class GEX:
    """Influence as the mean product of loss deviations over short SGD runs from θ* (paper Eq. 10).

    Needs per-sample losses and optimiser steps, nothing else; the defaults choose everything.

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
        That of the training serves best. A callable is the framework's own factory.
    momentum : float
        Of SGD.
    weight_decay : "auto" or float
        Of SGD or AdamW. "auto" is 0.25 ÷ batch size or 2, far more than in trainings: members
        forget first what was memorised. It is none where you set `lr`; a factory, and a backend
        that you made, have their own.
    batch_size : int or "auto"
        Small batches (8 to 128) cost least.
    floor : float
        Lower bound of the base loss in deviations; see `gexcore.deviations.equation.deviations`.
    ceiling : "auto", float or None
        Upper bound of every loss in deviations; "auto" is the clip of `suspicion`, None is none,
        the paper's equation as printed.
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
        (split half, see `gexcore.deviations.uncertainty.split_half`); at most 1. What other chains
        do has no part in it.
    keep : int
        Member states kept in memory for test sets and label suggestions after the fit.
    parameters : str or sequence of str, optional
        Names, or patterns with ``*`` and ``?``, of the parameters that the members step in; all
        trainable ones where not given.
    first_chain : int
        A chain is what it is by the seed and its number: jobs with other numbers add to one
        ensemble, see `gexcore.store.merge_stores`.
    seed : int
        Equal seeds give equal results on the same machine.

    Examples
    --------
    >>> import numpy as np
    >>> import gexcore as gx
    >>> from gexcore_numpy import MLP
    >>> rng = np.random.default_rng(0)
    >>> x = np.concatenate([rng.normal(-2, 1, (60, 2)), rng.normal(2, 1, (60, 2))])
    >>> y = np.repeat([0, 1], 60)
    >>> model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
    >>> influence = gx.GEX(snapshots=10).fit(model, (x, y), progress=False)
    >>> influence.suspicion().shape
    (120,)
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
    floor: float = 0.0
    ceiling: float | Auto | None = "auto"
    chance_loss: float | None = None
    budget: float | Budget | Auto = "auto"
    pretraining_epochs: float | None = None
    tolerance: float | None = None
    keep: int = 8
    parameters: Parameters = None
    first_chain: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check_count("chains", self.chains)
        check_count("snapshots", self.snapshots)
        check_count("steps_per_snapshot", self.steps_per_snapshot)
        check_count("batch_size", self.batch_size)
        if self.lr != "auto" and not callable(self.lr):
            check_number("lr", self.lr, above=True)
        for name in ("keep", "first_chain", "seed"):
            check_count(name, getattr(self, name), least=0, auto=False)
        for name in ("momentum", "floor"):
            check_number(name, getattr(self, name))
        if self.weight_decay != "auto":
            check_number("weight_decay", self.weight_decay)
        if self.ceiling != "auto" and self.ceiling is not None:
            check_number("ceiling", self.ceiling, least=self.floor, above=True)
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
        if self.scoring not in ("auto", "evaluated", "training_batches"):
            msg = (
                f"scoring is {self.scoring!r}; allowed are 'auto', 'evaluated' and "
                "'training_batches'"
            )
            raise InvalidSettingError(msg)
        if not callable(self.optimizer) and self.optimizer not in WARMUP_FROM:
            msg = (
                f"optimizer is {self.optimizer!r}; allowed are 'sgd', 'adamw' and the "
                "framework's own factory"
            )
            raise InvalidSettingError(msg)

    @property
    def needs(self) -> tuple[type, ...]:
        """Capabilities it asks of the backend before any work."""
        chosen = () if self.parameters is None else (SupportsSelection,)
        return (
            *chosen,
            *(
                (SupportsTrainingLosses, SupportsDonation)
                if self.scoring == "training_batches"
                else ()
            ),
        )

    @classmethod
    def paper(cls, *, chains: int = 32, steps: int = 800, lr: float = 0.05, **settings: Any) -> GEX:
        """The paper's recipe: independent members, each one cosine run from θ* (Appendix E)."""
        check_number("lr", lr, above=True)
        defaults = {"weight_decay": 5e-4, "batch_size": 128, "ceiling": None}
        recipe = {
            "chains": chains,
            "snapshots": 1,
            "lr": Cosine(lr, steps),
            "steps_per_snapshot": steps,
        }
        return cls(**{**defaults, **recipe, "scoring": "evaluated", **settings})

    @classmethod
    def public_code(cls, *, steps: int = 800, lr: float = 0.05, **settings: Any) -> GEX:
        """The public code on eight devices: 8 chains of 4 chained members, and its loss floor."""
        chained = {"chains": 8, "snapshots": 4, "floor": 0.05}
        return cls.paper(steps=steps, lr=lr, **{**chained, **settings})

    def fit(
        self,
        model: Any,
        data: Any,
        *,
        train_data: Any = None,
        loss: str | Callable[..., Any] | None = None,
        test: Any = None,
        backend: str | None = None,
        store: Place = None,
        executor: Executor | None = None,
        progress: bool = True,
    ) -> LossInfluence:
        """Score the training set of a trained model.

        Parameters
        ----------
        model : native model or Backend
            Never changed.
        data : (x, y), mapping, native dataset, or Dataset
            The training samples as they are scored.
        train_data : same forms, optional
            The same samples, in the same order, through the training's augmentation.
        loss : str or callable, optional
            A name such as "cross_entropy" (the default), "squared_error" or
            "binary_cross_entropy", or the framework's own loss without reduction.
        test : same forms, optional
            Other samples, for `Influence.influence`.
        backend : str, optional
            Only where the model's type leaves a choice.
        store : path or fsspec URL, optional
            Where the run is stored as it goes: stopped anywhere, the same call goes on from there.
            A Zarr group, see `gexcore.store`; needs ``gexcore[store]``.
        executor : concurrent.futures.Executor, optional
            Runs the chains: threads, processes, loky, Dask, MPI. Never made or shut down here; the
            scores are the same bits.
        progress : bool
            Show a bar on standard error.

        Raises
        ------
        InvalidDataError, InvalidModelError, InvalidSettingError
            Before any work beyond one pass over the data.
        AllMembersDivergedError
            No member has finite losses.
        StoreError, StoreMismatchError
            A store that cannot be written, is damaged or in use; that holds another run.
        WorkerLostError
            A worker of the executor died.
        """
        started = time.perf_counter()
        inputs = open_inputs(
            model,
            data,
            train_data=train_data,
            test=test,
            loss=loss,
            backend=backend,
            optimizer=self.steps_with,
        )
        inputs = selected(inputs, self.parameters, by="GEX")
        return self.fit_opened(
            inputs, loss=loss, store=store, executor=executor, progress=progress, started=started
        )

    def steps_with(self, samples: int) -> Optimizer:
        """The optimiser that members step with over so many samples: what to give a backend that
        you make."""
        decay = self.weight_decay
        if isinstance(decay, str):  # a learning rate of the user's own does not give way to it
            decay = (
                decay_of(self.optimizer, samples, batch_size=self.batch_size)
                if self.lr == "auto"
                else 0.0
            )
        return Optimizer(name=self.optimizer, momentum=self.momentum, weight_decay=decay)

    def fit_opened(
        self,
        inputs: Inputs,
        *,
        loss: Any,
        store: Place = None,
        executor: Executor | None = None,
        progress: bool,
        started: float,
    ) -> LossInfluence:
        """As `fit`, on a backend that was made with the optimiser of `steps_with`."""
        engine, samples, _, tests, recipe = inputs
        if (
            store is not None
            and isinstance(self.budget, Budget)
            and self.budget.seconds is not None
        ):
            msg = (
                "a budget in seconds gives another plan every time, which no store can go on "
                "with; give it in epochs"
            )
            raise InvalidSettingError(msg)
        plan = self.settled(engine, samples)
        seen = take_in(engine, samples, loss=loss, batch_size=plan.scoring_batch_size)
        refresh = Refresher(engine, samples, seed=plan.seed)
        planned = planned_passes(plan, len(samples), refreshed=refresh.samples)
        free = plan.scoring == "training_batches"
        controller = self._controller(plan)
        during = None if tests is None or free else len(tests)

        def fingerprint() -> dict[str, Any]:
            from gexcore.store.fingerprint import run_fingerprint

            asked = {"loss": loss, "keep": self.keep, "chance_loss": self.chance_loss}
            return run_fingerprint(
                inputs, seen, plan, controller, tests=during is not None, **asked
            )

        with storage_of(store, plan, fingerprint, engine, self.keep) as storage:
            base = storage.base(lambda: scorer_of(inputs, plan).base(), seen, during)
            skill = self._skill(seen, base, loss, by_size=not free)
            work = Work(recipe, plan, controller, skill, self.keep, tests is not None)
            title = f"GEX, {planned.epochs(len(samples)):.0f} passes over the data"
            results = self._run(work, inputs, executor, storage, title=title, progress=progress)
        problem = work.problem(inputs)
        members = kept_members(results, engine, refresh, batch_size=plan.scoring_batch_size)
        clip = default_clip(seen.classes) if skill is None else skill.ceiling
        test_table = None
        if tests is not None:
            test_table = (
                members.evaluate(tests)
                if free
                else loss_table_on_test(results, members.base(tests))
            )
        return LossInfluence(
            table=loss_table(results, base),
            checkpoint_losses=seen.losses.astype(np.float64),
            labels=seen.labels,
            clip=clip,
            data=samples,
            members=members,
            run=Run(
                method=type(self).__name__,
                settings=settings_of(self),
                plan=plan,
                backend=engine.name,
                samples=len(samples),
                classes=seen.classes,
                snapshots=tuple(snapshot for result in results for snapshot in result.snapshots),
                planned=planned,
                passes=sum_passes(
                    [
                        Passes(forward=2 * len(samples), copies=COPIES),
                        *(chain_cost(problem, plan, r) for r in results),
                    ]
                ),
                seconds=time.perf_counter() - started,
                chosen={} if recipe is None or engine is recipe.model else recipe.chosen(),
            ),
            test_table=test_table,
            floor=self.floor,
            ceiling=self._ceiling(None if skill is None else clip),
        )

    def _ceiling(self, clip: float | None) -> float:
        # a loss whose scale is not known has no clip that could be trusted
        found = clip if self.ceiling == "auto" else self.ceiling
        return math.inf if found is None else found

    def settled(self, backend: Backend[Any, Any], data: Dataset[Any]) -> Plan:
        """The plan that `fit` follows; a budget in seconds takes timings first."""
        given = self.budget
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

    def _skill(self, seen: Intake, base: Losses, loss: object, *, by_size: bool) -> Skill | None:
        if seen.labels is not None and seen.classes is not None:
            skill: Skill = ClassSkill(seen.labels, seen.classes, base, by_size=by_size)
        else:
            chance = (
                chance_loss(loss, seen.targets) if self.chance_loss is None else self.chance_loss
            )
            if chance is None:
                if self.lr != "auto":
                    return None
                msg = (
                    "lr='auto' has no measure of skill for this loss; it knows "
                    "classification by integer labels, "
                    "'squared_error' and 'binary_cross_entropy': name the loss, or set "
                    "chance_loss to what a model "
                    "that knows nothing would have, or lr to a number"
                )
                raise InvalidSettingError(msg)
            skill = LossSkill(chance, base)
        if self.lr == "auto" and not np.isfinite(skill(base, np.arange(len(base)))):
            msg = (
                "the model predicts the given targets no better than a guess; the method "
                "starts from a trained model: "
                "check that its weights are loaded, and that data and loss are those of its "
                "training"
            )
            raise InvalidModelError(msg)
        return skill

    def _controller(self, plan: Plan) -> AnyController:
        if self.lr == "auto":
            name = self.optimizer if isinstance(self.optimizer, str) else "sgd"
            return Thermostat(WARMUP_FROM[name], plan.snapshots, warmups=plan.warmups)
        if callable(self.lr):
            return OpenLoop(self.lr, plan.snapshots)
        return OpenLoop(Constant(self.lr), plan.snapshots)

    def _run(
        self,
        work: Work,
        inputs: Inputs,
        executor: Executor | None,
        storage: Storage,
        *,
        title: str,
        progress: bool,
    ) -> list[ChainResult]:
        plan = work.plan
        with progress_bar(plan.chains * plan.snapshots, title=title, show=progress) as bar:

            def report(snapshot: Snapshot) -> None:
                note = (
                    f"chain {snapshot.chain + 1}/{plan.numbers.stop}, lr {snapshot.lr:.2g}, "
                    f"skill {snapshot.skill:.2f}"
                )
                bar.advance(note, by=not snapshot.warmup)

            results = run_chains(work, inputs, executor=executor, storage=storage, report=report)
        if all(snapshot.status == "diverged" for r in results for snapshot in r.snapshots):
            msg = (
                f"all {sum(len(r.snapshots) for r in results)} members have non-finite losses; "
                'try lr="auto", a smaller lr, or the optimizer of the training'
            )
            raise AllMembersDivergedError(msg)
        return results
