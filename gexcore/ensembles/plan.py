"""Plans: the settings of a run with every "auto" settled."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from gexcore.backend.batches import training_order
from gexcore.backend.protocols import Indices
from gexcore.errors import InvalidSettingError
from gexcore.settings import check_number

Scoring = Literal["evaluated", "training_batches"]
"""The source of a snapshot's losses: a pass in evaluation mode, or its training batches."""


STEERING = 256
"""The least samples that steer an evaluated chain. An eighth of the data is the rule."""

MOST_STEERING = 512
"""The most samples that steer an evaluated chain."""


PARTS = 4
"""Chunks of an epoch, where each member is one epoch."""


Schedule = Callable[[int], float]
"""Learning rate of each step of a member, counted from 0."""


def check_schedule(lr: Any) -> None:
    """Refuse what is neither "auto", a number above 0, nor a function from a step to a number.

    Raises
    ------
    InvalidSettingError
    """
    if isinstance(lr, type):
        raise InvalidSettingError(
            f"lr is the class {lr.__name__}; give a schedule, such as gexcore.Cosine(0.1, 100)"
        )
    if not callable(lr):
        check_number("lr", lr, above=True, auto=True)
        return
    first = lr(0)
    try:
        finite = math.isfinite(float(first))
    except (TypeError, ValueError):
        finite = False
    if not finite:
        raise InvalidSettingError(f"lr(0) is {first!r}; a schedule returns a finite number")


@dataclass(frozen=True)
class Constant:
    """The same learning rate at every step."""

    lr: float

    def __call__(self, step: int) -> float:
        return self.lr


@dataclass(frozen=True)
class Cosine:
    """A learning rate that falls from `lr` to 0 over `steps` steps (the paper, Appendix E).

    Examples
    --------
    >>> from gexcore.ensembles.plan import Cosine
    >>> schedule = Cosine(0.05, steps=800)
    >>> schedule(0), round(schedule(400), 6)
    (0.05, 0.025)
    """

    lr: float
    steps: int

    def __call__(self, step: int) -> float:
        return 0.5 * self.lr * (1.0 + math.cos(math.pi * min(step, self.steps) / self.steps))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run with every "auto" settled.

    Parameters
    ----------
    chains, snapshots : int
        Independent chains from θ*, and snapshots along each.
    steps : int
        Optimiser steps before each snapshot.
    first_chain : int
        Number of the first chain.
    warmups : int
        The most warm-up chunks of a chain, each of `warmup_steps`.
    tolerance : float or None
        Reliability of a chain's own ranking at which it ends.
    batch_size, scoring_batch_size : int
        Samples per training step and per evaluation call.
    scoring : {"evaluated", "training_batches"}
        The source of a snapshot's losses.
    seed : int
        Seed of all randomness in a chain, together with the number of the chain. Results do not
        depend on the executor or on the number of chains.
    epoch_steps : int or None
        Batches of an epoch, if each member is one epoch: a member then ends each epoch, and the
        other snapshots are parts of it. None if snapshots do not follow epochs.
    """

    chains: int
    snapshots: int
    steps: int
    warmups: int
    batch_size: int
    scoring: Scoring
    seed: int
    tolerance: float | None = None
    scoring_batch_size: int = 512
    first_chain: int = 0
    epoch_steps: int | None = None

    @property
    def parts(self) -> int:
        """Snapshots of an epoch. 1 if snapshots do not follow epochs."""
        return 1 if self.epoch_steps is None else min(PARTS, self.epoch_steps)

    @property
    def shares_statistics(self) -> bool:
        """Whether members have the statistics of normalisation layers that their start has."""
        return False

    def steps_of(self, number: int, *, warmup: bool) -> int:
        """Optimiser steps of the chunk before the snapshot of this number."""
        if self.epoch_steps is None:
            return self.warmup_steps if warmup else self.steps
        part, parts = number % self.parts, self.parts
        return (part + 1) * self.epoch_steps // parts - part * self.epoch_steps // parts

    @property
    def numbers(self) -> range:
        """Numbers of the chains."""
        return range(self.first_chain, self.first_chain + self.chains)

    @property
    def most_snapshots(self) -> int:
        """The most snapshots of a chain, warm-up included."""
        return self.warmups + self.snapshots

    def order(self, samples: int, chain: int) -> Iterator[tuple[Indices, int]]:
        """Endless training batches of a chain: positions, and the seed of each step."""
        return training_order(samples, self.batch_size, seed=self.seed, chain=chain)

    @property
    def warmup_steps(self) -> int:
        """Optimiser steps between two probes of a chain that has not left θ* yet.

        The losses of training batches are from before the step. A single step shows no effect in
        them.
        """
        return min(self.steps, max(4, self.steps // 4))


def steering_size(n: int) -> int:
    """Number of samples, of n, that steer an evaluated chain: enough for class medians."""
    return min(n, max(STEERING, min(n // 8, MOST_STEERING)))
