"""The geometric ensemble as a value: its settings, its plan and its members."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, replace

from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import SupportsDonation, SupportsTrainingLosses
from gexcore.ensembles.budget import Budget, default_budget, limits, planned_passes, within_promise
from gexcore.ensembles.drawing import check_storable, draw
from gexcore.ensembles.drawn import Drawn
from gexcore.ensembles.plan import Constant, Plan, Schedule, Scoring, check_schedule
from gexcore.ensembles.resolve import (
    USER_BATCH_SIZE,
    OptimizerSetting,
    check_optimizer,
    decay_of,
    first_rate,
    longest,
    optimizer_of,
    settle,
)
from gexcore.ensembles.storage import Store
from gexcore.ensembles.thermostat import AnyController, OpenLoop, Thermostat
from gexcore.errors import InvalidSettingError
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.statistics import Refresher
from gexcore.settings import Auto, check_choice, check_count, check_number, check_seed

MOST_MEMBERS = 10**6
"""The most chains of a run, and the most snapshots of a chain."""


@dataclass(frozen=True, kw_only=True)
class Geometric:
    """The geometric ensemble: members along short SGD runs from θ* (paper Algorithm 2).

    The members need per-sample losses and optimiser steps, nothing else. The defaults choose
    everything.

    Parameters
    ----------
    chains : int or "auto"
        Number of independent runs from θ*. "auto" is 2, or fewer under a budget.
    snapshots : int or "auto"
        Length of each chain. Each snapshot starts from the one before. "auto" is 24, or 32 if
        training batches give the losses, or fewer under a budget. Short chunks of the warm-up are
        extra. One snapshot per chain is the independent restart of Algorithm 2, line 5.
    lr : "auto", float or schedule
        Learning rate. "auto" is feedback by `gexcore.ensembles.thermostat.Thermostat`. A number, or
        a function from a member's step to its learning rate, is used unchanged. Scores from a fixed
        learning rate are often no better than plain loss. The right number differs between problems
        by orders of magnitude.
    steps_per_snapshot : int or "auto"
        Steps before each snapshot. "auto" is a quarter of an epoch, and at least 16.
    scoring : {"auto", "evaluated", "training_batches"}
        Source of a snapshot's losses: a pass over the data, or its training batches. "auto" takes
        training batches if a budget does not pay for six passes.
    optimizer : {"auto", "sgd", "adamw"} or callable
        Optimiser of the members, where "auto" is SGD. The best choice is that of the training. A
        callable is the framework's own factory. A backend that you made keeps its own optimiser:
        name that one, because the first learning rate depends on it.
    momentum : float
        The momentum of SGD.
    weight_decay : "auto" or float
        The decay of SGD or AdamW. "auto" is 0.25 ÷ batch size for SGD and 2 for AdamW. This is far
        more than in trainings: members forget first what was memorised. "auto" is none where you
        set `lr`. A factory, and a backend that you made, have their own decay.
    batch_size : int or "auto"
        Samples per step. Small batches (8 to 128) cost least.
    chance_loss : float, optional
        Loss of a model that knows nothing, for your own loss. It is the zero of the thermostat's
        scale. For named losses it is known. For your own loss of pairs (x, y) it is estimated from
        the loss of a constant prediction.
    budget : "auto", float or Budget
        The most that a run may cost, in forward passes over the data. A training step counts as
        three passes. `gexcore.Budget` also counts seconds, or passes of single samples.
        "auto" is a quarter of the pretraining if `pretraining_epochs` is given. Else it is 120 at
        5,000 samples, 20 from 30,000 on, and no limit below. A budget changes only settings that
        are "auto".
    pretraining_epochs : float, optional
        Training epochs of the model. A quarter of them is the budget. A warning tells before the
        run if it costs more.
    tolerance : float, optional
        Reliability, at most 1, at which a chain ends early. It is the split-half reliability of the
        chain's own scores (`gexcore.deviations.halves.split_half`). A chain has at least eight
        members. Other chains do not matter.
    first_chain : int
        Number of the first chain. A chain depends on the seed and its number. So jobs with other
        numbers add chains to one ensemble (`gexcore.store.merge_stores`).
    seed : int
        Seed. Equal seeds give equal results on the same machine.

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
    optimizer: OptimizerSetting = "auto"
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
        for name in ("chains", "snapshots"):
            check_count(name, getattr(self, name), most=MOST_MEMBERS)
        for name in ("steps_per_snapshot", "batch_size"):
            check_count(name, getattr(self, name))
        check_schedule(self.lr)
        check_count("first_chain", self.first_chain, least=0, auto=False)
        check_seed(self.seed)
        check_number("momentum", self.momentum)
        check_number("weight_decay", self.weight_decay, auto=True)
        for name in ("chance_loss", "pretraining_epochs"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), above=True)
        if self.tolerance is not None:
            check_number("tolerance", self.tolerance, above=True)
            if self.tolerance > 1:
                raise InvalidSettingError(
                    f"tolerance is {self.tolerance}, and must be at most 1, a perfect ranking"
                )
        if not isinstance(self.budget, Budget):
            check_number("budget", self.budget, above=True, auto=True)
        check_choice("scoring", self.scoring, ("auto", "evaluated", "training_batches"))
        check_optimizer(self.optimizer)

    @property
    def needs(self) -> tuple[type, ...]:
        """Capabilities that the members need."""
        if self.scoring == "training_batches":
            return (SupportsTrainingLosses, SupportsDonation)
        return ()

    @property
    def longest(self) -> int:
        """The most snapshots that a chain can have."""
        return longest(self.snapshots)

    def optimizer_for(self, samples: int) -> Optimizer:
        """The optimiser of the members for this many samples, also for a backend that you make."""
        decay = self.weight_decay
        if isinstance(decay, str):  # weight decay is fitted to "auto" learning rates only
            decay = (
                decay_of(self.optimizer, samples, batch_size=self.batch_size)
                if self.lr == "auto"
                else 0.0
            )
        name = optimizer_of(self.optimizer)
        return Optimizer(name=name, momentum=self.momentum, weight_decay=decay)

    def plan(self, opened: Opened) -> Plan:
        """The plan of `draw`. A budget in seconds takes timings first.

        Raises
        ------
        InvalidSettingError, MissingCapabilityError
        """
        backend, data, given = opened.backend, opened.data, self.budget
        if isinstance(given, str):
            budget = default_budget(len(data), self.pretraining_epochs)
        else:
            budget = given if isinstance(given, Budget) else Budget(epochs=given)
        refreshed = Refresher(backend, data, seed=self.seed).samples
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
            refreshed=refreshed,
        )
        plan = replace(plan, first_chain=self.first_chain)
        if self.budget != "auto" or self.pretraining_epochs is None:
            return plan
        cost = planned_passes(plan, len(data), refreshed=refreshed)
        return within_promise(plan, cost, len(data), self.pretraining_epochs)

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
            Model and data. The backend gets the optimiser of `optimizer_for`.
        keep : int
            The most member states that each chain returns.
        store : callable, optional
            Function that opens the storage of the run, such as `gexcore.store.stored_at`.
        executor : concurrent.futures.Executor, optional
            Executor of the chains.
        title : str
            Text of the progress bar.

        Raises
        ------
        InvalidDataError, InvalidModelError, InvalidSettingError, MissingCapabilityError
            If an input is wrong. Raised before any work beyond one pass over the data.
        AllMembersDivergedError
            If no member has finite losses.
        """
        check_storable(store, self.budget)
        opened = opened.stepping_with(self.optimizer_for(len(opened.data)))
        plan = self.plan(opened)
        return draw(
            opened,
            plan,
            self._controller(plan),
            keep=keep,
            chance_loss=self.chance_loss,
            steers=self.lr == "auto",
            store=store,
            executor=executor,
            title=title,
        )

    def _controller(self, plan: Plan) -> AnyController:
        if self.lr == "auto":
            first = first_rate(self.optimizer)
            return Thermostat(first, plan.snapshots, warmups=plan.warmups)
        if callable(self.lr):
            return OpenLoop(self.lr, plan.snapshots)
        return OpenLoop(Constant(self.lr), plan.snapshots)
