"""The relearning ensemble as a value: members that relearn the data from near a reference."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any

from gexcore.backend.capabilities import require
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import SupportsDonation, SupportsParams, SupportsTrainingLosses
from gexcore.ensembles.budget import Budget, Limit, limits
from gexcore.ensembles.drawing import Prepared, check_storable, draw
from gexcore.ensembles.drawn import Drawn
from gexcore.ensembles.ensemble import MOST_MEMBERS, Geometric
from gexcore.ensembles.plan import Plan
from gexcore.ensembles.relearner import LEFT, RISE, WELL, Relearner, Search
from gexcore.ensembles.relearning_plans import (
    MOST_EPOCHS,
    Asked,
    epochs_after,
    most_of_searches,
    planned_passes,
    plans,
    usual_plan,
)
from gexcore.ensembles.resolve import (
    USER_BATCH_SIZE,
    OptimizerSetting,
    check_optimizer,
    first_rate,
    optimizer_of,
)
from gexcore.ensembles.search import Trials, beyond, nearest_that_learns
from gexcore.ensembles.skill import Skill
from gexcore.ensembles.start import Shrunk, check_scale, first_scale, reference_of
from gexcore.ensembles.storage import Found, Storage, Store
from gexcore.errors import InvalidSettingError
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.passes import Passes
from gexcore.settings import Auto, check_count, check_number, check_seed

SHARED = (
    "chains", "optimizer", "momentum", "batch_size", "chance_loss", "budget", "pretraining_epochs",
    "first_chain", "seed",
)  # fmt: skip
"""Settings that mean the same in the geometric ensemble."""


@dataclass(frozen=True, kw_only=True)
class Relearning:
    """The relearning ensemble: members that relearn the data from near a reference.

    A chain starts at reference + scale · (θ* − reference), where nearly all is forgotten, and
    trains. What generalises is learned before wrong labels are. The losses are those of the
    training batches before each step, so they cost nothing more. Each member is one epoch, after
    the chain has left chance.

    A search finds the learning rate first. It doubles the learning rate until the skill leaves
    chance. Feedback then follows each chain, see `gexcore.ensembles.relearner.Relearner`.

    Parameters
    ----------
    reference : native model or state, optional
        What θ* shrinks towards: zero if not given. Give the pretrained weights of a fine-tuned
        model, as a model of the same structure or in a form that the backend loads as a
        checkpoint. Adapters (LoRA) shrink towards zero, which is right for them.
    scale : "auto", float or pair of floats
        The part of θ* − reference that the start keeps: 0.1 for classes, 0.3 for other losses. The
        search halves "auto" if the start state knows the labels. It doubles "auto" if the start
        state never leaves chance. Of a pair the smaller one is taken if half an epoch from the
        larger one learns at once. A pair needs an `lr`.
    chains : int or "auto"
        Independent runs from the start state, each in its own order of batches: 2, or 1 under a
        small budget, where one chain of five epochs ranks as well as two of three.
    epochs : int or "auto"
        Epochs of each chain: 3 or 300 steps, whichever is more, at most 40. Fewer under a budget.
    lr : "auto" or float
        The learning rate that a chain starts with. A number skips the search.
    optimizer : {"auto", "sgd", "adamw"} or callable
        "auto" is SGD. Small models relearned better by it, also those that AdamW trained.
        Transformers relearned better by AdamW. A callable is the framework's own factory.
    momentum : float
        The momentum of SGD.
    weight_decay : float
        The decay of SGD or AdamW. None by default: relearning needs none.
    batch_size : int or "auto"
        Small batches (8 to 128) cost least.
    chance_loss : float, optional
        Loss of a model that knows nothing, for a loss of your own.
    budget : "auto", float or Budget
        The most that a run may cost, see `gexcore.Geometric`. "auto" is a quarter of the
        pretraining if `pretraining_epochs` is known, else none. Further searches for a start are
        paid with epochs of the chains.
    pretraining_epochs : float, optional
        Epochs that the model was trained for. A warning tells before the run if it costs more than
        a quarter of them: two epochs of few large batches may cost up to 35 %.
    first_chain : int
        Number of the first chain.
    seed : int
        Equal seeds give equal results on the same machine.

    Examples
    --------
    >>> import numpy as np
    >>> import gexcore as gx
    >>> from gexcore.evaluation.opening import opened
    >>> from gexcore_numpy import MLP
    >>> x = np.random.default_rng(0).normal(size=(64, 2))
    >>> model = MLP([np.array([[-9.0, 9.0], [-1.0, 1.0]])], [np.zeros(2)])
    >>> given = opened(model, (x, (x[:, 0] > 0).astype(int)), progress=False)
    >>> gx.Relearning(epochs=4, lr=0.1).draw(given).table.losses.shape
    (8, 64)
    """

    reference: Any = field(default=None, repr=False)
    scale: float | tuple[float, float] | Auto = "auto"
    chains: int | Auto = "auto"
    epochs: int | Auto = "auto"
    lr: float | Auto = "auto"
    optimizer: OptimizerSetting = "auto"
    momentum: float = 0.9
    weight_decay: float = 0.0
    batch_size: int | Auto = "auto"
    chance_loss: float | None = None
    budget: float | Budget | Auto = "auto"
    pretraining_epochs: float | None = None
    first_chain: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("chains", "epochs"):
            check_count(name, getattr(self, name), most=MOST_MEMBERS)
        check_count("batch_size", self.batch_size)
        check_count("first_chain", self.first_chain, least=0, auto=False)
        check_seed(self.seed)
        check_number("lr", self.lr, above=True, auto=True)
        check_scale(self.scale, pair=self.lr != "auto")
        for name in ("momentum", "weight_decay"):
            check_number(name, getattr(self, name))
        for name in ("chance_loss", "pretraining_epochs"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), above=True)
        if not isinstance(self.budget, Budget):
            check_number("budget", self.budget, above=True, auto=True)
        check_optimizer(self.optimizer)

    @property
    def needs(self) -> tuple[type, ...]:
        """Capabilities that the members ask of the backend."""
        return (SupportsParams, SupportsTrainingLosses, SupportsDonation)

    @property
    def longest(self) -> int:
        """Most members that a chain can have."""
        return self.epochs if isinstance(self.epochs, int) else MOST_EPOCHS

    def geometric(self) -> Geometric:
        """The geometric ensemble of the same size and cost, for a backend that cannot relearn."""
        return Geometric(**{name: getattr(self, name) for name in SHARED})

    def optimizer_for(self, samples: int) -> Optimizer:
        """The optimiser of the members: what to give a backend that you make."""
        return Optimizer(
            name=optimizer_of(self.optimizer),
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )

    def plan(self, opened: Opened) -> Plan:
        """The plan that `draw` follows; a budget in seconds takes timings first.

        Raises
        ------
        InvalidSettingError
            If the batch is larger than the data, or the budget too small.
        MissingCapabilityError
            If the backend has no flat parameters or no losses of training batches.
        """
        require(opened.backend, *self.needs, by="the relearning ensemble")
        n = len(opened.data)
        if isinstance(self.budget, str):
            return usual_plan(self.asked(), n, self.pretraining_epochs)
        found = self._limits(opened, self.budget)
        for plan, cost in plans(self.asked(), n):
            if all(limit.allows(cost) for limit in found):
                return plan
        msg = (
            f"the budget is too small: {plan.chains} × {plan.snapshots // plan.parts} epochs and "
            "the search, the least that these settings allow, cost as much as "
            f"{cost.epochs(n):.3g} forward passes over the data; raise the budget, or set chains, "
            "epochs or lr of gexcore.Relearning"
        )
        raise InvalidSettingError(msg)

    def draw(
        self,
        opened: Opened,
        *,
        keep: int = 0,
        store: Store | None = None,
        executor: Executor | None = None,
        title: str = "ensemble",
    ) -> Drawn:
        """Run the search and the chains; for parameters and errors see `gexcore.Geometric.draw`."""
        check_storable(store, self.budget)
        opened = opened.stepping_with(self.optimizer_for(len(opened.data)))
        plan = self.plan(opened)
        scale = first_scale(self.scale, classes=opened.seen.labels is not None)
        start = Shrunk(scale, reference_of(opened.backend, self.reference))
        epochs, first = plan.snapshots // plan.parts, first_rate(self.optimizer)
        controller = Relearner(
            first if isinstance(self.lr, str) else self.lr,
            float("inf"),
            plan.parts,
            epochs,
            searched=self.lr == "auto",
        )
        chosen_scale = self.scale == "auto" and self.lr == "auto"
        limited = self.budget != "auto" or self.pretraining_epochs is not None
        most = most_of_searches(plan) if limited else float("inf")
        settings: dict[str, list[Any]] = {
            "start": [start.scale, start.digest, chosen_scale, self.lr == "auto"]
        }
        if start.reference is not None:
            settings["skill"] = ["gained"]
        if isinstance(self.scale, tuple):
            settings["scales"] = sorted(self.scale)

        def prepare(measure: Skill | None, storage: Storage) -> Prepared:
            looked = 0
            if measure is not None and start.reference is not None:
                measure = beyond(opened, plan, measure, start)
                looked = len(opened.train)
            if measure is None or self.lr != "auto":
                limit = float("inf") if measure is None else RISE * measure.chance
                found = given = Found(start.scale, controller.lr, limit)
                if measure is not None and isinstance(self.scale, tuple):
                    tried = opened, plan, measure, start, min(self.scale), given
                    found = storage.found(lambda: nearest_that_learns(*tried))
            else:
                enough = LEFT if start.reference is None else WELL
                search = Search(first, measure.chance, enough=enough)
                trials = Trials(opened.backend, opened.train, measure, plan, search, most)
                found = storage.found(lambda: trials.run(start, fixed=not chosen_scale))
            fewer = epochs_after(plan, found.steps) if limited else epochs
            return Prepared(
                replace(controller, lr=found.lr, limit=found.limit, epochs=fewer),
                replace(start, scale=found.scale),
                Passes(forward=looked, step=found.steps * plan.batch_size),
                {
                    "ensemble": "relearning",
                    "scale": found.scale,
                    "reference": "zero" if self.reference is None else "given",
                    "first_lr": found.lr,
                    "left_chance": found.left,
                    "scale_raised": found.raised,
                    "knew_labels": found.knew,
                },
                measure,
            )

        return draw(
            opened,
            plan,
            controller,
            keep=keep,
            chance_loss=self.chance_loss,
            steers=self.lr == "auto",
            store=store,
            executor=executor,
            title=title,
            settings=settings,
            planned=planned_passes(plan, len(opened.data), self.asked()),
            prepare=prepare,
        )

    def _limits(self, opened: Opened, budget: float | Budget) -> list[Limit]:
        budget = budget if isinstance(budget, Budget) else Budget(epochs=budget)
        return limits(budget, opened.backend, opened.data, batch_size=USER_BATCH_SIZE)

    def asked(self) -> Asked:
        """The settings that decide the plan."""
        return Asked(
            self.chains,
            self.epochs,
            self.batch_size,
            searched=self.lr == "auto",
            reference=self.reference is not None,
            tried=isinstance(self.scale, tuple),
            seed=self.seed,
            first_chain=self.first_chain,
        )
