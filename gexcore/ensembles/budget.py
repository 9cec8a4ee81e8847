"""Budgets: what a run may cost, and what it is going to cost."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from gexcore.backend.protocols import Backend, Dataset
from gexcore.ensembles.plan import Plan, steering_size
from gexcore.errors import InvalidSettingError
from gexcore.evaluation.passes import Passes

PART_OF_PRETRAINING = 0.25
"""Share of the pretraining epochs that "auto" may cost."""

LARGE = 5_000
"""Samples from which on "auto" sets a limit."""

EPOCHS_OF_LARGE = 20.0
"""The least limit of large data, in forward passes over the data."""

PASSES_OF_LARGE = 600_000
"""The least limit of large data, in forward passes of single samples.

It is as much as smaller data cost: the limit binds little at first, so that no size is a cliff.
"""

TIMED = 4
"""Calls of each kernel on a batch that is timed."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The most that a run of `GEX` may cost. If several limits are given, the tightest counts.

    Parameters
    ----------
    epochs : float, optional
        Forward passes over the data. A training step counts as three (`Passes.epochs`).
    passes : float, optional
        Forward passes of single samples: epochs × N.
    seconds : float, optional
        Length of the run, estimated from a batch that is timed first. The estimate depends on the
        machine and its load, and so do the scores. The other two limits are reproducible. Loading
        a framework and compiling come on top: some seconds in JAX and TensorFlow.

    Raises
    ------
    InvalidSettingError
        If no limit is given, or a limit is not a positive number.

    Examples
    --------
    >>> import gexcore as gx
    >>> gx.GEX(budget=gx.Budget(seconds=60)).budget
    Budget(epochs=None, passes=None, seconds=60)
    """

    epochs: float | None = None
    passes: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        if all(value is None for value in given.values()):
            raise InvalidSettingError("the budget is empty; give epochs, passes or seconds")
        for name, value in given.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and 0 < value < np.inf):
                raise InvalidSettingError(
                    f"the budget has {name}={value!r}, and must have a positive finite number"
                )

    def __str__(self) -> str:
        given = ((field.name, getattr(self, field.name)) for field in fields(self))
        return ", ".join(f"{value:g} {name}" for name, value in given if value is not None)


class Limit(NamedTuple):
    """A price for passes, and the most that may be spent."""

    price: Callable[[Passes], float]
    most: float

    def allows(self, passes: Passes) -> bool:
        """Whether the price of these passes is within the limit."""
        return self.price(passes) <= self.most * (1 + 1e-9)


def limits(
    budget: Budget | None, backend: Backend[Any, Any], data: Dataset[Any], *, batch_size: int
) -> list[Limit]:
    """The limits that a budget sets. A limit in seconds first times one batch."""
    n, found = len(data), list[Limit]()
    if budget is None:
        return found
    if budget.epochs is not None:
        found.append(Limit(lambda passes: passes.epochs(n), budget.epochs))
    if budget.passes is not None:
        found.append(Limit(lambda passes: passes.epochs(1), budget.passes))
    if budget.seconds is not None:
        from gexcore.evaluation.timing import (
            kernels_of,
        )  # timing imports checks of settled plans

        size = min(batch_size, n)
        kernels = kernels_of(backend, data, np.arange(size))
        read, forward, step = (
            _seconds(kernels[name]) / size for name in ("read", "forward", "step")
        )
        found.append(
            Limit(
                lambda passes: passes.forward * (read + forward) + passes.step * (read + step),
                budget.seconds,
            )
        )
    return found


def default_budget(n: int, pretraining_epochs: float | None) -> Budget | None:
    """The budget of "auto"; None for small data.

    A quarter of the pretraining, if its length is known. Else 120 epochs at 5,000 samples, and 20
    epochs from 30,000 samples on. Smaller data have no limit.
    """
    if pretraining_epochs is not None:
        return Budget(epochs=PART_OF_PRETRAINING * Passes(step=1).epochs(1) * pretraining_epochs)
    return Budget(epochs=max(EPOCHS_OF_LARGE, PASSES_OF_LARGE / n)) if n >= LARGE else None


def within_promise(plan: Plan, cost: Passes, n: int, pretraining_epochs: float) -> Plan:
    """The plan. A warning tells if it costs more than its part of the pretraining."""
    passes, most = cost.epochs(n), PART_OF_PRETRAINING * 3 * pretraining_epochs
    if passes > most * (1 + 1e-9):
        warnings.warn(
            f"a quarter of {pretraining_epochs:g} epochs of training pays for {most:.3g} forward "
            f"passes over the data, and a useful run of these settings takes up to {passes:.3g}",
            UserWarning,
            stacklevel=2,
        )
    return plan


def planned_passes(plan: Plan, n: int, *, refreshed: int) -> Passes:
    """The most passes of a run. Each probe reads `refreshed` samples for statistics of its own."""
    snapshots, warmups = plan.chains * plan.snapshots, plan.chains * plan.warmups
    own = 0 if plan.shares_statistics else refreshed
    evaluated = 0
    if plan.scoring == "evaluated":
        evaluated = snapshots * (n + own) + warmups * (steering_size(n) + refreshed)
    steps = snapshots * plan.steps + warmups * plan.warmup_steps
    return Passes(forward=2 * n + evaluated, step=steps * plan.batch_size)


def _seconds(kernel: Callable[[int], object]) -> float:
    kernel(1)  # the first call compiles
    started = time.perf_counter()
    kernel(TIMED)
    return (time.perf_counter() - started) / TIMED
