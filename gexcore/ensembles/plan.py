"""Frozen settings of a run, and the randomness that follows from them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Harvest = Literal["evaluated", "free"]
"""Where a snapshot's losses come from: a pass in evaluation mode, or its own training batches."""


STEERING, MOST_STEERING = 256, 512
"""Samples that steer an evaluated chain: an eighth, within these bounds."""


Schedule = Callable[[int], float]
"""Learning rate of each step of a member, counted from 0."""


@dataclass(frozen=True)
class Constant:
    """The same learning rate at every step."""

    lr: float

    def __call__(self, step: int) -> float:
        return self.lr


@dataclass(frozen=True)
class Cosine:
    """From `lr` down to 0 over `steps` steps (the paper, Appendix E).

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
        Independent chains from θ*, and members along each.
    steps : int
        Optimiser steps before each snapshot.
    first_chain : int
        Number of the first of them.
    heats : int
        Chunks of `heating_steps` by which a chain may be made to leave θ*, at most.
    tolerance : float or None
        Reliability of its own ranking at which a chain ends.
    batch_size, scoring_batch_size : int
        Samples per training step and per evaluation call.
    harvest : {"evaluated", "free"}
        Where a snapshot's losses come from.
    seed : int
        With the number of a chain it seeds everything random in that chain, so results depend
        neither on the executor nor on how many chains run.
    """

    chains: int
    snapshots: int
    steps: int
    heats: int
    batch_size: int
    harvest: Harvest
    seed: int
    tolerance: float | None = None
    scoring_batch_size: int = 512
    first_chain: int = 0

    @property
    def numbers(self) -> range:
        """Of the chains."""
        return range(self.first_chain, self.first_chain + self.chains)

    @property
    def looks(self) -> int:
        """Snapshots of a chain at most, heating included."""
        return self.heats + self.snapshots

    @property
    def heating_steps(self) -> int:
        """Optimiser steps between two looks at a chain that has yet to leave θ*.

        A free harvest sees losses from before a step: of a single one it would see no effect.
        """
        return min(self.steps, max(4, self.steps // 4))


def steering_size(n: int) -> int:
    """How many of n samples steer an evaluated chain: enough for the medians of classes."""
    return min(n, max(STEERING, min(n // 8, MOST_STEERING)))
