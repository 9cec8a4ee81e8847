"""Plans of the relearning ensemble, and their costs, in the order of preference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gexcore.ensembles.budget import PART_OF_PRETRAINING, within_promise
from gexcore.ensembles.plan import PARTS, Plan
from gexcore.ensembles.resolve import batch_size_of
from gexcore.ensembles.search import longest_search, trial_steps
from gexcore.errors import InvalidSettingError
from gexcore.evaluation.passes import Passes
from gexcore.settings import Auto

EPOCHS = 3
"""Epochs of a chain, at least."""

STEPS = 300
"""Steps of a chain, at least: small data need more epochs."""

MOST_EPOCHS = 40
"""Epochs of a chain over the smallest data."""

MOST_OF_SHORT = 0.35
"""Share of a short pretraining that two epochs may cost."""

FEW_EPOCHS = 4
"""Epochs of two chains below which one longer chain is better."""


@dataclass(frozen=True)
class Asked:
    """Settings that decide the plan of a relearning ensemble.

    Parameters
    ----------
    chains, epochs, batch_size : int or "auto"
    searched : bool
        Whether a search finds the learning rate.
    reference : bool
        Whether the skill of a reference is measured first.
    tried : bool
        Whether a trial chooses between two scales.
    seed, first_chain : int
    """

    chains: int | Auto
    epochs: int | Auto
    batch_size: int | Auto
    searched: bool
    reference: bool
    tried: bool
    seed: int
    first_chain: int


def usual_plan(asked: Asked, n: int, trained: float | None) -> Plan:
    """The plan without a budget: within a quarter of the pretraining, if its length is known.

    A little more than a quarter is better than a single epoch.

    Parameters
    ----------
    asked : Asked
    n : int
        Number of samples.
    trained : float or None
        Epochs of the pretraining.
    """
    found = list(plans(asked, n))
    if trained is None:
        return found[0][0]
    for part, least in ((PART_OF_PRETRAINING, 2), (MOST_OF_SHORT, 2), (MOST_OF_SHORT, 1)):
        most = part * Passes(step=1).epochs(1) * trained
        for plan, cost in found:
            if plan.snapshots >= least * plan.parts and cost.epochs(n) <= most:
                return within_promise(plan, cost, n, trained)
    return within_promise(*found[-1], n, trained)


def plans(asked: Asked, n: int) -> Iterator[tuple[Plan, Passes]]:
    """Plans and their costs in the order of preference. The cheapest is last."""
    size = batch_size_of(n) if asked.batch_size == "auto" else asked.batch_size
    if size > n:
        raise InvalidSettingError(
            f"batch_size is {size}, and the data has {n} samples; choose at most that many"
        )
    steps = n // size
    usual = min(MOST_EPOCHS, max(EPOCHS, -(-STEPS // steps)))
    for chains in (2, 1) if asked.chains == "auto" else (asked.chains,):
        # one chain of five epochs ranks as well as two of three, and costs less
        alone = asked.chains == "auto" and chains == 1
        most = max(usual, FEW_EPOCHS + 1) if alone else usual
        least = FEW_EPOCHS if asked.chains == "auto" and chains > 1 else 1
        lengths = range(most, min(most, least) - 1, -1)
        for epochs in lengths if asked.epochs == "auto" else (asked.epochs,):
            plan = Plan(
                chains=chains,
                snapshots=epochs * min(PARTS, steps),
                steps=-(-steps // min(PARTS, steps)),
                warmups=0,
                batch_size=size,
                scoring="training_batches",
                seed=asked.seed,
                first_chain=asked.first_chain,
                epoch_steps=steps,
            )
            yield plan, planned_passes(plan, n, asked)


def planned_passes(plan: Plan, n: int, asked: Asked) -> Passes:
    """The most passes of a run, with one search if there is one.

    A start state that has to be changed takes another search. Where a budget or
    `pretraining_epochs` sets a limit, epochs are left out for it (`epochs_after`).
    """
    epochs, search = plan.snapshots // plan.parts, longest_search(plan) if asked.searched else 0
    search += trial_steps(plan) if asked.tried else 0
    steps = plan.chains * epochs * (plan.epoch_steps or 0) + search
    return Passes(forward=(2 + asked.reference) * n, step=steps * plan.batch_size)


def further_search(plan: Plan) -> Passes:
    """The most passes of one more search."""
    return Passes(step=longest_search(plan) * plan.batch_size)


def most_of_searches(plan: Plan) -> int:
    """Optimiser steps of all searches that leave an epoch of each chain, at the planned cost."""
    return longest_search(plan) + _spare(plan, plan.snapshots // plan.parts - 1)


def epochs_after(plan: Plan, steps: int) -> int:
    """Epochs of each chain that the planned cost pays for after searches of so many steps."""
    epochs, over = plan.snapshots // plan.parts, steps - longest_search(plan)
    return max(1, epochs - max(0, -(-over // _spare(plan, 1))))


def _spare(plan: Plan, epochs: int) -> int:
    return epochs * plan.chains * (plan.epoch_steps or 0)
