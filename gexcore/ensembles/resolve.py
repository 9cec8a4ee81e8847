"""Plans made from settings: every "auto" becomes a number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from gexcore.backend.capabilities import require, supports
from gexcore.backend.protocols import Backend, SupportsDonation, SupportsTrainingLosses
from gexcore.ensembles.budget import LARGE, Limit, planned_passes
from gexcore.ensembles.plan import Plan, Scoring
from gexcore.ensembles.thermostat import WARMUPS
from gexcore.errors import InvalidSettingError
from gexcore.settings import Auto

OptimizerSetting = Literal["auto", "sgd", "adamw"] | Callable[..., Any]
"""The optimiser of members: a choice, a name or a factory of the framework."""

FIRST_RATES = {"sgd": 1e-3, "adamw": 1e-5}
"""Learning rates that are too small for any effect: feedback and searches start with them."""

USER_BATCH_SIZE = 128


DECAY_OF_SGD = 0.25
"""Weight decay of members under SGD, times the batch size.

Decay removes what the model memorised: few steps do not learn it again, but learn again what
generalises. The decay falls with the batch, because the learning rates that melt a model grow with
it.
"""

DECAY_OF_ADAMW = 2.0
"""Weight decay of members under AdamW."""

EPOCHS_PER_SNAPSHOT = 0.25
"""Training epochs before each snapshot."""

SNAPSHOTS: dict[Scoring, int] = {"evaluated": 24, "training_batches": 32}
"""Snapshots of a chain.

Training batches need more, because their snapshot holds a quarter of the samples. A threshold needs
several losses of each sample.
"""

GOOD_LENGTH = 16
"""Snapshots of a chain under a budget, as long as there is more than one chain."""

LEAST_LENGTH = 6
"""Snapshots of the shortest chain under a budget."""

LEAST_STEPS = 4
"""Steps of the shortest chunk under a budget."""

FEWER_WARMUPS = 16
"""Warm-up chunks of large data under a budget, where probes cost most.

They lead out of one deep minimum, but not out of two.
"""


def check_optimizer(optimizer: Any) -> None:
    """Refuse what is no optimiser of members.

    Raises
    ------
    InvalidSettingError
    """
    named = isinstance(optimizer, str) and optimizer in ("auto", *FIRST_RATES)
    if not named and not callable(optimizer):
        raise InvalidSettingError(
            f"optimizer is {optimizer!r}; allowed are 'auto', 'sgd', 'adamw' and the framework's "
            "own factory"
        )


def optimizer_of(optimizer: OptimizerSetting) -> str | Callable[..., Any]:
    """The optimiser of an ensemble by itself: "auto" is SGD."""
    return "sgd" if isinstance(optimizer, str) and optimizer == "auto" else optimizer


def first_rate(optimizer: OptimizerSetting) -> float:
    """The learning rate that feedback or a search starts with: for a factory that of SGD."""
    found = optimizer_of(optimizer)
    return FIRST_RATES[found if isinstance(found, str) else "sgd"]


def batch_size_of(n: int) -> int:
    """Samples per step of a chain over n samples."""
    return min(n, max(8, min(USER_BATCH_SIZE, n // 64)))


def decay_of(optimizer: Any, n: int, *, batch_size: int | Auto) -> float:
    """Weight decay of members that step with this optimiser over n samples."""
    size = batch_size_of(n) if isinstance(batch_size, str) else batch_size
    return DECAY_OF_ADAMW if optimizer == "adamw" else DECAY_OF_SGD / size


def longest(snapshots: int | Auto) -> int:
    """The most snapshots that a chain can have."""
    return snapshots if isinstance(snapshots, int) else max(SNAPSHOTS.values())


def settle(
    backend: Backend[Any, Any],
    n: int,
    *,
    chains: int | Auto,
    snapshots: int | Auto,
    steps: int | Auto,
    batch_size: int | Auto,
    scoring: Scoring | Auto,
    feedback: bool,
    optimizer: Any,
    seed: int,
    tolerance: float | None = None,
    limits: Sequence[Limit] = (),
    hard: bool = True,
    refreshed: int = 0,
) -> Plan:
    """The plan of a run over `n` samples.

    Without a budget, two chains take a snapshot after each quarter of an epoch in small batches. A
    probe of the warm-up comes after a quarter of that. Every snapshot is evaluated. Under a budget,
    chunks are halved first, because that costs least quality. Fewer chains come next, and shorter
    chains last. Settings of the user stay.

    From 5,000 samples on, a budget also shortens the warm-up. If even the shortest plan is too
    dear, one chain takes the losses of its own training batches. Such a plan takes no extra pass.

    Parameters
    ----------
    limits : sequence of Limit
        The limits of the budget.
    hard : bool
        Whether a plan beyond the budget is refused. If not, the cheapest sensible plan is taken.
    refreshed : int
        Samples that the statistics of a snapshot are estimated from.

    Raises
    ------
    InvalidSettingError
        If the batch is larger than the data, or the budget too small.
    MissingCapabilityError
        If training batches are to give the losses, and the backend has no training losses.
    """
    if scoring == "training_batches":
        require(backend, SupportsTrainingLosses, SupportsDonation, by='scoring="training_batches"')
    size = batch_size_of(n) if batch_size == "auto" else batch_size
    if size > n:
        raise InvalidSettingError(
            f"batch_size is {size}, and the data has {n} samples; choose at most that many"
        )
    free_to = {
        "chains": chains == "auto",
        "snapshots": snapshots == "auto",
        "steps": steps == "auto",
    }
    pays = feedback and n >= LARGE and optimizer != "adamw"
    possible = (
        pays and supports(backend, SupportsTrainingLosses) and supports(backend, SupportsDonation)
    )
    for chosen in _scorings(scoring, free=possible):
        usual = Plan(
            chains=(1 if chosen == "training_batches" else 2) if chains == "auto" else chains,
            snapshots=SNAPSHOTS[chosen] if snapshots == "auto" else snapshots,
            steps=max(16, round(EPOCHS_PER_SNAPSHOT * n / size)) if steps == "auto" else steps,
            warmups=WARMUPS if feedback else 0,
            batch_size=size,
            scoring=chosen,
            seed=seed,
            tolerance=tolerance,
        )
        warmups = min(usual.warmups, FEWER_WARMUPS) if n >= LARGE else usual.warmups
        for plan in _cheaper(usual, warmups, **free_to, least=LEAST_LENGTH if feedback else 1):
            cost = planned_passes(plan, n, refreshed=refreshed)
            if all(limit.allows(cost) for limit in limits):
                return plan
    if hard:
        msg = (
            f"the budget is too small: {plan.chains} × {plan.snapshots} snapshots of {plan.steps} "
            f"steps, the least that these settings allow, cost as much as {cost.epochs(n):.3g} "
            "forward passes over the data; raise the budget, or set chains, snapshots or "
            "steps_per_snapshot lower"
        )
        raise InvalidSettingError(msg)
    return plan


def _scorings(scoring: Scoring | Auto, *, free: bool) -> tuple[Scoring, ...]:
    """Scorings in the order of trial."""
    if scoring != "auto":
        return (scoring,)
    return ("evaluated", "training_batches") if free else ("evaluated",)


def _cheaper(
    plan: Plan, warmups: int, *, chains: bool, snapshots: bool, steps: bool, least: int
) -> Iterator[Plan]:
    """Plans in the order of preference, with this many warm-up chunks; the cheapest is last."""

    def lengths(plan: Plan, shortest: int) -> Iterator[Plan]:
        for length in range(plan.snapshots, shortest - 1, -1) if snapshots else [plan.snapshots]:
            yield replace(plan, snapshots=length)

    halved = replace(
        plan, warmups=warmups, steps=max(LEAST_STEPS, plan.steps // 2) if steps else plan.steps
    )
    yield plan
    yield from lengths(halved, GOOD_LENGTH)
    for number in range(plan.chains - 1, 0, -1) if chains else []:
        yield from lengths(replace(halved, chains=number), GOOD_LENGTH)
    yield from lengths(replace(halved, chains=1) if chains else halved, least)
