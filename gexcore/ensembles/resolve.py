"""Settings checked, and every "auto" replaced by a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from gexcore.backend.capabilities import require, supports
from gexcore.backend.protocols import Backend, SupportsDonation, SupportsTrainingLosses
from gexcore.ensembles.budget import LARGE, Limit, planned_passes
from gexcore.ensembles.plan import Harvest, Plan
from gexcore.ensembles.thermostat import HEATS
from gexcore.errors import InvalidSettingError
from gexcore.settings import Auto

USER_BATCH_SIZE = 128


DECAY_OF_SGD, DECAY_OF_ADAMW = 0.25, 2.0
"""Weight decay of members: of SGD for a batch of one sample, since the learning rates that melt a model grow with the
batch. What was memorised decays and is not learnt again in so few steps; what generalises is."""


EPOCHS_PER_SNAPSHOT = 0.25
SNAPSHOTS: dict[Harvest, int] = {"evaluated": 24, "free": 32}
"""A free snapshot holds a quarter of the samples only: each needs to be seen often enough for a threshold."""


GOOD_LENGTH, LEAST_LENGTH = 16, 6
"""Snapshots of a chain: under a budget rather fewer chains than shorter ones."""


LEAST_STEPS = 4
FEWER_HEATS = 16
"""Of large data under a budget, where looks cost most: enough for one way out of a deep minimum, not for two."""


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
    harvest: Harvest | Auto,
    feedback: bool,
    optimizer: Any,
    seed: int,
    tolerance: float | None = None,
    limits: Sequence[Limit] = (),
    hard: bool = True,
    refreshed: int = 0,
) -> Plan:
    """The plan of a run over `n` samples.

    A snapshot comes after a quarter of an epoch in small batches, a look at a chain that is only
    heated after a quarter of that. Each snapshot is evaluated, of two chains.
    Where that is more than the budget, chunks are halved first, which costs least, then there are fewer
    chains, and at last shorter ones. What the user has set stays.

    From 5,000 samples on chains are then heated for less long, and where the budget does not pay for the
    shortest, one chain harvests the losses of its own training batches, which takes no extra pass.

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
        For a free harvest on a backend without training losses.
    """
    if harvest == "free":
        require(backend, SupportsTrainingLosses, SupportsDonation, by='harvest="free"')
    size = batch_size_of(n) if batch_size == "auto" else batch_size
    if size > n:
        raise InvalidSettingError(f"batch_size is {size}, and the data has {n} samples; choose at most that many")
    free_to = {"chains": chains == "auto", "snapshots": snapshots == "auto", "steps": steps == "auto"}
    pays = feedback and n >= LARGE and optimizer != "adamw"
    possible = pays and supports(backend, SupportsTrainingLosses) and supports(backend, SupportsDonation)
    for chosen in _harvests(harvest, free=possible):
        usual = Plan(
            chains=(1 if chosen == "free" else 2) if chains == "auto" else chains,
            snapshots=SNAPSHOTS[chosen] if snapshots == "auto" else snapshots,
            steps=max(16, round(EPOCHS_PER_SNAPSHOT * n / size)) if steps == "auto" else steps,
            heats=HEATS if feedback else 0,
            batch_size=size,
            harvest=chosen,
            seed=seed,
            tolerance=tolerance,
        )
        heats = min(usual.heats, FEWER_HEATS) if n >= LARGE else usual.heats
        for plan in _cheaper(usual, heats, **free_to, least=LEAST_LENGTH if feedback else 1):
            cost = planned_passes(plan, n, refreshed=refreshed)
            if all(limit.allows(cost) for limit in limits):
                return plan
    if hard:
        msg = (
            f"the budget is too small: {plan.chains} × {plan.snapshots} snapshots of {plan.steps} steps, the least that "
            f"these settings allow, cost as much as {cost.epochs(n):.3g} forward passes over the data; raise the budget, "
            "or set chains, snapshots or steps_per_snapshot lower"
        )
        raise InvalidSettingError(msg)
    return plan


def _harvests(harvest: Harvest | Auto, *, free: bool) -> tuple[Harvest, ...]:
    """Harvests in the order in which they are to be tried."""
    if harvest != "auto":
        return (harvest,)
    return ("evaluated", "free") if free else ("evaluated",)


def _cheaper(plan: Plan, heats: int, *, chains: bool, snapshots: bool, steps: bool, least: int) -> Iterator[Plan]:
    """The plan, then others in the order in which they are to be preferred, heated so often; the last is the cheapest."""

    def lengths(plan: Plan, shortest: int) -> Iterator[Plan]:
        for length in range(plan.snapshots, shortest - 1, -1) if snapshots else [plan.snapshots]:
            yield replace(plan, snapshots=length)

    halved = replace(plan, heats=heats, steps=max(LEAST_STEPS, plan.steps // 2) if steps else plan.steps)
    yield plan
    yield from lengths(halved, GOOD_LENGTH)
    for number in range(plan.chains - 1, 0, -1) if chains else []:
        yield from lengths(replace(halved, chains=number), GOOD_LENGTH)
    yield from lengths(replace(halved, chains=1) if chains else halved, least)
