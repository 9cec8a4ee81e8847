"""The anchored ensemble: many short cold runs from a point near θ*."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

from gexcore.backend.capabilities import supports
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import SupportsParams
from gexcore.ensembles.anchored_plan import AnchoredPlan, part_size
from gexcore.ensembles.budget import Budget, Limit, limits, planned_passes
from gexcore.ensembles.drawing import check_storable, draw
from gexcore.ensembles.drawn import Drawn
from gexcore.ensembles.plan import Constant, Plan
from gexcore.ensembles.resolve import USER_BATCH_SIZE
from gexcore.ensembles.storage import Store
from gexcore.ensembles.thermostat import After, Chunk, Decision, Reading
from gexcore.errors import InvalidSettingError
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.statistics import Refresher
from gexcore.settings import Auto, check_count, check_number

BUDGET = 100.0
"""Forward passes over the data that "auto" may cost."""

WEIGHT_DECAY = 0.03
"""Weight decay on the way to an anchor. It lifts the losses of samples that are fitted well."""

LEAST_RESTARTS = 8
"""Members from an anchor, at the least. A budget that pays for fewer pays for no anchor."""

SHORT = 4
"""Steps up to which members are so near to an anchor that they share its statistics."""

MOST_RESTARTS = 2048
"""Members from each anchor, at the most."""


LEAST_IN_BATCH, MOST_IN_BATCH = 16, 64
"""Samples of a step. With few samples a large batch would leave members alike, and cost much."""


def batch_of(samples: int) -> int:
    """Samples of a step, for so many samples."""
    return min(samples, MOST_IN_BATCH, max(LEAST_IN_BATCH, samples // 16))


@dataclass(frozen=True)
class ColdRestarts:
    """A controller: one chunk to the anchor, and then members that all start from there.

    A snapshot without finite losses is no member.

    Parameters
    ----------
    anchor : Constant or None
        Learning rate to the anchor. None means that members start from θ*.
    member : Constant
        Learning rate of members.
    restarts : int
        Members from each anchor.
    """

    anchor: Constant | None
    member: Constant
    restarts: int

    def start(self) -> tuple[int, Chunk | None]:
        """Zero members, and the chunk to the anchor."""
        if self.anchor is None:
            return 0, Chunk(self.member)
        return -1, Chunk(self.anchor, warmup=True)

    def update(self, memory: int, reading: Reading, /) -> tuple[int, Decision]:
        """The anchor stays for all members. Each of them starts with a fresh optimiser."""
        chunk = Chunk(self.member) if memory + 1 < self.restarts else None
        if memory < 0:
            if reading.diverged:  # members then start from θ*
                return 0, Decision("diverged", "reset", chunk)
            return 0, Decision("anchor", "restart", chunk)
        back: After = "reset" if self.anchor is None else "back"
        return memory + 1, Decision("diverged" if reading.diverged else "member", back, chunk)


@dataclass(frozen=True, kw_only=True)
class Anchored:
    """The anchored ensemble: members for a ridge, which predicts retraining.

    An anchor decays from θ* in 30 steps. From there each member takes one step, on its own batch.
    The members are many, close to the model and nearly independent, as a ridge over members
    needs them. Normalisation layers have the statistics of the anchor. The mean loss of members
    says little about wrong labels: see `gexcore.Geometric` for that.

    Parameters
    ----------
    anchors : int or "auto"
        Number of anchors. "auto" is 1, or none if the budget is small: members then start from
        θ*. A few anchors can run on several workers, and predict a little worse at equal cost.
    restarts : int or "auto"
        Members from each anchor. "auto" spends the budget.
    anchor_steps, steps : int
        Steps from θ* to an anchor, and from an anchor to a member.
    anchor_lr, lr : float
        Learning rates of these steps. SGD takes them.
    momentum : float
        Momentum of SGD.
    weight_decay : "auto" or float
        Weight decay of all steps. "auto" is 0.03.
    batch_size : "auto" or int
        Samples of a step. "auto" is 64, or a sixteenth of the samples if they are few.
    subset : float, optional
        Share of the samples that each member sees. Members then start from θ*, and there is no
        anchor. For large budgets, with `steps=120` and `lr=0.05`. At 2,000 passes it predicted
        better than restarts on memorised data only, and worse on clean data.
    budget : "auto", float or Budget
        The most that a run may cost. A number is in forward passes over the data. "auto" is 100, or
        no limit if both `anchors` and `restarts` are set.
    first_chain : int
        Number of the first anchor. Jobs with other numbers add to one ensemble.
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
    >>> gx.Anchored(anchors=2, restarts=5).draw(given).table.losses.shape
    (10, 60)
    """

    anchors: int | Auto = "auto"
    restarts: int | Auto = "auto"
    anchor_steps: int = 30
    anchor_lr: float = 0.05
    steps: int = 1
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float | Auto = "auto"
    batch_size: int | Auto = "auto"
    subset: float | None = None
    budget: float | Budget | Auto = "auto"
    first_chain: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("anchors", "restarts"):
            check_count(name, getattr(self, name))
        check_count("steps", self.steps, auto=False)
        check_count("batch_size", self.batch_size)
        for name in ("anchor_steps", "first_chain", "seed"):
            check_count(name, getattr(self, name), least=0, auto=False)
        for name in ("anchor_lr", "lr"):
            check_number(name, getattr(self, name), above=True)
        check_number("momentum", self.momentum)
        check_number("weight_decay", self.weight_decay, auto=True)
        if self.subset is not None:
            check_number("subset", self.subset, above=True)
            if self.subset > 1:
                raise InvalidSettingError(
                    f"subset is {self.subset}, and is a share of the samples; give at most 1"
                )
        if not isinstance(self.budget, Budget):
            check_number("budget", self.budget, above=True, auto=True)

    @property
    def needs(self) -> tuple[type, ...]:
        """Capabilities that the members ask of the backend: none."""
        return ()

    def optimizer_for(self, samples: int) -> Optimizer:
        """Optimiser of the members, whatever the number of samples, for your own backend."""
        decay = self.weight_decay
        if isinstance(decay, str):
            decay = WEIGHT_DECAY
        return Optimizer(name="sgd", momentum=self.momentum, weight_decay=decay)

    def plan(self, opened: Opened) -> AnchoredPlan:
        """The plan that `draw` follows. A budget in seconds is timed first.

        Raises
        ------
        InvalidSettingError
            If the budget is too small, or a batch larger than the samples that a member sees.
        """
        data, backend = opened.data, opened.backend
        seen = len(data) if self.subset is None else part_size(len(data), self.subset)
        chosen = self.batch_size
        size = batch_of(len(data)) if isinstance(chosen, str) else min(chosen, len(data))
        if size > seen:
            raise InvalidSettingError(
                f"subset is {self.subset} of {len(data)} samples, fewer than a batch of {size}; "
                "choose a larger subset or a smaller batch_size"
            )
        budget = self._budget()
        given = limits(budget, backend, data, batch_size=min(USER_BATCH_SIZE, len(data)))
        refreshed = Refresher(backend, data, seed=self.seed).samples
        shared = refreshed > 0 and self.steps <= SHORT and supports(backend, SupportsParams)
        for plan in self._preferred(size, shared=shared):
            if self._allowed(plan, len(data), refreshed, given):
                return plan
        cost = planned_passes(plan, len(data), refreshed=refreshed).epochs(len(data))
        raise InvalidSettingError(
            f"the budget is too small: {plan.chains} × {plan.snapshots} members, the fewest that "
            f"these settings allow, cost {cost:.3g} forward passes over the data; raise the "
            "budget, or set anchors and restarts"
        )

    def draw(
        self,
        opened: Opened,
        *,
        keep: int = 0,
        store: Store | None = None,
        executor: Executor | None = None,
        title: str = "ensemble",
    ) -> Drawn:
        """Run the chains. The arguments and errors are those of `gexcore.Geometric.draw`."""
        check_storable(store, self.budget)
        opened = opened.stepping_with(self.optimizer_for(len(opened.data)))
        plan = self.plan(opened)
        return draw(
            opened,
            plan,
            self.controller(plan),
            keep=keep,
            chance_loss=None,
            steers=False,
            store=store,
            executor=executor,
            title=title,
        )

    def controller(self, plan: AnchoredPlan) -> ColdRestarts:
        """The controller of every chain."""
        anchor = Constant(self.anchor_lr) if plan.warmups else None
        return ColdRestarts(anchor, Constant(self.lr), plan.snapshots)

    def _budget(self) -> Budget | None:
        if isinstance(self.budget, str):
            free = "auto" in (self.anchors, self.restarts)
            return Budget(epochs=BUDGET) if free else None
        return self.budget if isinstance(self.budget, Budget) else Budget(epochs=self.budget)

    def _plan(self, anchors: int, restarts: int, size: int, *, shared: bool) -> AnchoredPlan:
        anchored = anchors > 0 and self.anchor_steps > 0 and self.subset is None
        return AnchoredPlan(
            chains=max(1, anchors),
            snapshots=restarts,
            steps=self.steps,
            warmups=int(anchored),
            batch_size=size,
            scoring="evaluated",
            seed=self.seed,
            first_chain=self.first_chain,
            anchor_steps=self.anchor_steps if anchored else 0,
            subset=self.subset,
            own_statistics=not (anchored and shared),
        )

    def _preferred(self, size: int, *, shared: bool) -> Iterator[AnchoredPlan]:
        """Plans in the order of preference. The cheapest is last."""
        free = isinstance(self.anchors, str)
        for count in (1, 0) if isinstance(self.anchors, str) else (self.anchors,):
            if not isinstance(self.restarts, str):
                yield self._plan(count, self.restarts, size, shared=shared)
                continue
            least = LEAST_RESTARTS if free and count else 1
            for length in range(MOST_RESTARTS, least - 1, -1):
                yield self._plan(count, length, size, shared=shared)

    @staticmethod
    def _allowed(plan: Plan, samples: int, refreshed: int, given: list[Limit]) -> bool:
        cost = planned_passes(plan, samples, refreshed=refreshed)
        return all(limit.allows(cost) for limit in given)
