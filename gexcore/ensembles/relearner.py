"""Controllers of relearning: one finds the learning rate, the other follows a chain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from gexcore.ensembles.plan import Constant
from gexcore.ensembles.thermostat import After, Chunk, Decision, Reading, Status

LEFT = 0.04
"""Skill from which on a chain has left chance. θ* has skill 1."""

WELL = 0.3
"""Skill of a chunk that learns well from pretrained weights.

They learn a little at any learning rate. A rate that only leaves chance is too small.
"""

RISE = 1.2
"""Mean loss, in units of the loss at the start, from which on a chunk has diverged."""

SETBACK = 0.25
"""Factor of the learning rate after a chunk that diverged."""

TRIALS = 12
"""The most chunks of one search: doublings from far too small to far too large."""


class Heat(NamedTuple):
    """The memory of a search.

    Parameters
    ----------
    lr : float
        Learning rate of the next chunk.
    trials : int
        Chunks so far.
    limit : float
        Mean loss above which a chunk has diverged.
    diverged : bool
        Whether a chunk has diverged. The learning rate then grows no more.
    left : bool
        Whether the search has left chance.
    knew : bool
        Whether the first chunk already had enough skill: the start state knows the labels.
    best : (skill, learning rate)
        Numbers of the chunk with the most skill.
    """

    lr: float
    trials: int = 0
    limit: float = math.inf
    diverged: bool = False
    left: bool = False
    knew: bool = False
    best: tuple[float, float] = (-math.inf, 0.0)


@dataclass(frozen=True)
class Search:
    """The search of a learning rate: it doubles after each chunk until the skill is enough.

    A chunk that diverges is taken back, and the learning rate is then quartered and kept. A search
    that left chance ends there. If it never had enough skill, it keeps the rate with the most.

    Parameters
    ----------
    lr : float
        Learning rate of the first chunk, small enough to do nothing.
    chance : float
        Mean clipped loss of a model that knows nothing.
    trials : int
        The most chunks.
    enough : float
        Skill at which the search ends: that of leaving chance, or `WELL` from a reference.
    """

    lr: float
    chance: float
    trials: int = TRIALS
    enough: float = LEFT

    def start(self) -> tuple[Heat, Chunk | None]:
        """No chunk so far, and the first one."""
        return Heat(self.lr), Chunk(Constant(self.lr))

    def update(self, memory: Heat, reading: Reading, /) -> tuple[Heat, Decision]:
        """A chunk diverged, had enough skill, or did neither."""
        trials = memory.trials + 1
        limit = memory.limit
        if memory.trials == 0:
            limit = RISE * max(self.chance, reading.loss)
        if reading.diverged or not reading.loss <= limit:
            found = memory._replace(
                lr=memory.lr * SETBACK, trials=trials, limit=limit, diverged=True
            )
            return self._ended(found, enough=memory.left, status="diverged")
        enough, left = reading.skill > self.enough, memory.left or reading.skill > LEFT
        found = Heat(
            memory.lr if enough or memory.diverged else 2 * memory.lr,
            trials,
            limit,
            memory.diverged,
            left,
            enough and trials == 1,
            best=max(memory.best, (reading.skill, memory.lr)),
        )
        return self._ended(found, enough=enough, status="part" if left else "cold")

    def _ended(self, memory: Heat, *, enough: bool, status: Status) -> tuple[Heat, Decision]:
        """The memory and the decision after a chunk, once its learning rate is set."""
        after: After = "back" if status == "diverged" else "continue"
        if not enough and memory.trials < self.trials:
            return memory, Decision(status, after, Chunk(Constant(memory.lr)))
        lr = memory.best[1] if memory.left else memory.lr
        return memory._replace(lr=lr), Decision(status, after, None)


class Progress(NamedTuple):
    """The memory of a chain that relearns.

    Parameters
    ----------
    lr : float
        Learning rate of the next chunk.
    parts : int
        Chunks so far.
    left : bool
        Whether the chain has left chance.
    losses, variances : tuple of float
        Mean loss of each chunk of this epoch, and the square of its standard error.
    before : (mean loss, squared standard error) or None
        Numbers of the epoch before.
    limit : float
        Mean loss above which a chunk has diverged.
    """

    lr: float
    parts: int = 0
    left: bool = False
    losses: tuple[float, ...] = ()
    variances: tuple[float, ...] = ()
    before: tuple[float, float] | None = None
    limit: float = math.inf


@dataclass(frozen=True)
class Relearner:
    """Feedback on loss and skill, along a chain that relearns the data.

    Members are the epochs at whose end the chain has left chance. After an epoch the learning rate
    doubles if the chain is still at chance, and halves if the loss did not fall by two standard
    errors. It also halves after a chunk with hardly any skill. A chunk that diverges is taken
    back, and the learning rate is then quartered.

    Parameters
    ----------
    lr : float
        Learning rate of the first chunk.
    limit : float
        Mean loss above which a chunk has diverged.
    parts : int
        Chunks of an epoch.
    epochs : int
        Epochs of a chain.
    searched : bool
        Whether a search knows the loss at the start. If not, the loss of the first chunk counts as
        that of the start, and may be larger than `limit`.
    """

    lr: float
    limit: float
    parts: int
    epochs: int
    searched: bool = True

    def start(self) -> tuple[Progress, Chunk | None]:
        """No chunk so far, and the first one."""
        return Progress(self.lr, limit=self.limit), Chunk(Constant(self.lr))

    def update(self, memory: Progress, reading: Reading, /) -> tuple[Progress, Decision]:
        """The memory and the decision after one chunk."""
        limit = memory.limit
        if memory.parts == 0 and not self.searched and math.isfinite(reading.loss):
            limit = max(limit, RISE * reading.loss)
        broken = reading.diverged or not reading.loss <= limit
        lr, left, losses, variances = memory.lr, memory.left, memory.losses, memory.variances
        if broken:
            lr *= SETBACK
        else:
            left = left or not reading.skill <= LEFT  # NaN: skill has no meaning
            losses, variances = (*losses, reading.loss), (*variances, reading.error**2)
            if left and reading.skill < LEFT / 2:
                lr *= 0.5
        now = Progress(lr, memory.parts + 1, left, losses, variances, memory.before, limit)
        ends = now.parts % self.parts == 0
        if ends:
            now = self._after_epoch(now)
        chunk = Chunk(Constant(now.lr)) if now.parts < self.parts * self.epochs else None
        if broken:
            return now, Decision("diverged", "back", chunk)
        if not ends:
            return now, Decision("part", "continue", chunk)
        return now, Decision("member" if left else "cold", "continue", chunk)

    def _after_epoch(self, now: Progress) -> Progress:
        count = len(now.losses)
        if not count:
            return now
        mean, squared = sum(now.losses) / count, sum(now.variances) / count**2
        lr = now.lr
        if not now.left:
            lr *= 2
        elif now.before is not None:
            fall, error = now.before[0] - mean, math.sqrt(now.before[1] + squared)
            lr *= 0.5 if fall < 2 * error else 1
        return Progress(lr, now.parts, now.left, before=(mean, squared), limit=now.limit)
