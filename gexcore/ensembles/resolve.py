"""Settings checked, and every "auto" replaced by a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from gexcore.backend.capabilities import require, supports
from gexcore.backend.protocols import Backend, SupportsDonation, SupportsTrainingLosses
from gexcore.ensembles.budget import LARGE, Limit, planned_passes
from gexcore.ensembles.plan import Plan, Scoring
from gexcore.ensembles.thermostat import WARMUPS
from gexcore.errors import InvalidSettingError
from gexcore.settings import Auto

USER_BATCH_SIZE = 128


DECAY_OF_SGD, DECAY_OF_ADAMW = 0.25, 2.0
"""Weight decay of members: of SGD for a batch of one sample, since the learning rates that melt a
model grow with the
batch. What was memorised decays and is not learnt again in so few steps; what generalises is."""


EPOCHS_PER_SNAPSHOT = 0.25
SNAPSHOTS: dict[Scoring, int] = {"evaluated": 24, "training_batches": 32}
"""A snapshot of training batches holds a quarter of the samples.

A threshold needs several losses of each.
"""


GOOD_LENGTH, LEAST_LENGTH = 16, 6
"""Snapshots of a chain: under a budget rather fewer chains than shorter ones."""


LEAST_STEPS = 4
FEWER_WARMUPS = 16
"""Warm-up chunks of large data under a budget, where probes cost most.

They lead out of one deep minimum, not of two.
"""


def batch_size_of(n: int) -> int:
    """Samples per step of a chain over so many."""
    return min(n, max(8, min(USER_BATCH_SIZE, n // 64)))


def decay_of(optimizer: Any, n: int, *, batch_size: int | Auto) -> float:
    """Weight decay of members that step with it over so many samples."""
    size = batch_size_of(n) if isinstance(batch_size, str) else batch_size
    return DECAY_OF_ADAMW if optimizer == "adamw" else DECAY_OF_SGD / size


def longest(snapshots: int | Auto) -> int:
    """Most snapshots that a chain can have."""
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

    A snapshot comes after a quarter of an epoch in small batches, a probe of a chain that warms
    up after a quarter of that. Each snapshot is evaluated, of two chains.
    Where that is more than the budget, chunks are halved first, which costs least, then there are
    fewer chains, and at last shorter ones. What the user has set stays.

    From 5,000 samples on the warm-up is then shorter, and where the budget does not pay for the
    shortest, one chain takes the losses of its own training batches, which takes no extra pass.

    Parameters
    ----------
    limits : sequence of Limit
        The budget.
    hard : bool
        Whether a plan that cannot keep to it is refused; else it is the cheapest that makes sense.
    refreshed : int
        Samples that a snapshot's statistics are estimated from.

    Raises
    ------
    InvalidSettingError
        For a batch larger than the data, or a budget too small.
    MissingCapabilityError
        For scoring by training batches on a backend without training losses.
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
            f"the budget is too small: {plan.chains} × {plan.snapshots} snapshots of "
            f"{plan.steps} steps, the least that "
            f"these settings allow, cost as much as {cost.epochs(n):.3g} forward passes over "
            "the data; raise the budget, "
            "or set chains, snapshots or steps_per_snapshot lower"
        )
        raise InvalidSettingError(msg)
    return plan


def _scorings(scoring: Scoring | Auto, *, free: bool) -> tuple[Scoring, ...]:
    """Scorings in the order in which they are to be tried."""
    if scoring != "auto":
        return (scoring,)
    return ("evaluated", "training_batches") if free else ("evaluated",)


def _cheaper(
    plan: Plan, warmups: int, *, chains: bool, snapshots: bool, steps: bool, least: int
) -> Iterator[Plan]:
    """The plan, then others in the order in which they are to be preferred, with so many warm-up
    chunks; the last is the cheapest."""

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
