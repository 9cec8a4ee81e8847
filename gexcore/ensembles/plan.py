"""Frozen settings of a run, and the randomness that follows from them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Scoring = Literal["evaluated", "training_batches"]
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
    warmups : int
        Chunks of `warmup_steps` by which a chain may be made to leave θ*, at most.
    tolerance : float or None
        Reliability of its own ranking at which a chain ends.
    batch_size, scoring_batch_size : int
        Samples per training step and per evaluation call.
    scoring : {"evaluated", "training_batches"}
        Where a snapshot's losses come from.
    seed : int
        With the number of a chain it seeds everything random in that chain, so results depend
        neither on the executor nor on how many chains run.
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

    @property
    def numbers(self) -> range:
        """Of the chains."""
        return range(self.first_chain, self.first_chain + self.chains)

    @property
    def most_snapshots(self) -> int:
        """Snapshots of a chain at most, warm-up included."""
        return self.warmups + self.snapshots

    @property
    def warmup_steps(self) -> int:
        """Optimiser steps between two probes of a chain that has yet to leave θ*.

        Losses of training batches are from before the step: after a single step they show no
        effect.
        """
        return min(self.steps, max(4, self.steps // 4))


def steering_size(n: int) -> int:
    """How many of n samples steer an evaluated chain: enough for the medians of classes."""
    return min(n, max(STEERING, min(n // 8, MOST_STEERING)))
