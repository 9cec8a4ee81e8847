"""What sets the learning rate of the next chunk of a chain, and says which snapshots are members.

A controller is a pure description; what it remembers along a chain is a value that it hands back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from gexcore.ensembles.plan import Constant, Schedule

Status = Literal["member", "cold", "melted", "diverged"]
"""A snapshot in band; one that has not left θ*; one that forgot too much; one with non-finite
losses."""

After = Literal["continue", "restart", "back", "reset"]
"""Go on as it is; same parameters with a fresh optimiser; to where the chunk began; to θ*."""

Memory = TypeVar("Memory")

WARMUPS = 28
"""Twice the learning rate that many times: from far too small to far too large for anything."""


class Reading(NamedTuple):
    """What a snapshot shows of how far its chain has gone.

    Parameters
    ----------
    skill : float
        Share of θ*'s skill that is left; NaN where unknown.
    loss : float
        Mean loss, each clipped, of the samples that steer.
    diverged : bool
        Whether any loss is not finite.
    """

    skill: float
    loss: float
    diverged: bool = False


class Chunk(NamedTuple):
    """How a chain steps until the next snapshot.

    Parameters
    ----------
    schedule : callable
        Learning rate of each step of the chunk, from 0.
    warmup : bool
        Whether it is one of the short ones by which a chain leaves θ*.
    """

    schedule: Schedule
    warmup: bool = False


class Decision(NamedTuple):
    """What becomes of a snapshot, and how its chain goes on; no chunk where it ends."""

    status: Status
    after: After
    chunk: Chunk | None


class Controller(Protocol[Memory]):
    """Turns what each snapshot shows into the learning rate of the next chunk."""

    def start(self) -> tuple[Memory, Chunk | None]:
        """Memory and the first chunk of a chain."""
        ...

    def update(self, memory: Memory, reading: Reading, /) -> tuple[Memory, Decision]:
        """Memory after a snapshot, and what to do."""
        ...


@dataclass(frozen=True)
class OpenLoop:
    """The same schedule for every member, whatever happens (the paper, Algorithm 2).

    Each member starts from the one before it with a fresh optimiser; a member with non-finite
    losses, or without any skill left, is no member and sends the chain back to θ*.
    """

    schedule: Schedule
    snapshots: int

    def start(self) -> tuple[int, Chunk | None]:
        """No snapshot yet; the schedule."""
        return 0, Chunk(self.schedule)

    def update(self, memory: int, reading: Reading, /) -> tuple[int, Decision]:
        """A member unless it diverged or collapsed."""
        chunk = Chunk(self.schedule) if memory + 1 < self.snapshots else None
        if reading.diverged:
            return memory + 1, Decision("diverged", "reset", chunk)
        if reading.skill <= 0:
            return memory + 1, Decision("melted", "reset", chunk)
        return memory + 1, Decision("member", "restart", chunk)


class Warmth(NamedTuple):
    """What a thermostat remembers along one chain.

    Parameters
    ----------
    lr : float
        Of the chunk to come.
    snapshot : int
        Snapshots so far. Those of the warm-up count where they are members.
    warmups : int
        Warm-up chunks so far.
    warmed : bool
        Whether the chain has left θ* since it last started there.
    left : bool
        Whether it ever has.
    below : int
        How many snapshots in a row were below the target.
    loss : float
        Of the last snapshot that the chain went on from; 0 at θ*.
    returns : int
        How often in a row the chain went back to where the same chunk began.
    """

    lr: float
    snapshot: int = 0
    warmups: int = 0
    warmed: bool = False
    left: bool = False
    below: int = 0
    loss: float = 0.0
    returns: int = 0


@dataclass(frozen=True)
class Thermostat:
    """Feedback on skill: no learning rate to choose.

    A chain warms up in short chunks until its skill falls below `warm`; then the learning rate
    follows a target that falls from `first` to `last` over the chain. Members are the snapshots
    with low ≤ skill < warm.

    Out of a deep minimum losses grow by orders of magnitude, exponentially, before skill falls at
    all: where the mean loss grew more than e-fold the learning rate is lowered with its growth. A
    chain that melts (skill below `low`) goes back to where its chunk began with half the learning
    rate; after `returns` times in a row, or `stuck` snapshots in a row below its target, to θ*.

    Parameters
    ----------
    lr : float
        The learning rate of the first warm-up chunk, small enough to do nothing.
    snapshots : int
        Length of a chain without its warm-up. The member at its end counts.
    warmups : int
        Short warm-up chunks of a chain, at most. Whole chunks follow. A chain that has not left θ*
        after `WARMUPS` chunks of both kinds ends.
    """

    lr: float
    snapshots: int
    low: float = 0.2
    warm: float = 0.97
    first: float = 0.5
    last: float = 0.3
    stuck: int = 5
    returns: int = 2
    warmups: int = WARMUPS
    slack: float = 0.02
    gain: float = 2.0

    def start(self) -> tuple[Warmth, Chunk | None]:
        """Cold, at the initial learning rate."""
        return Warmth(self.lr), Chunk(Constant(self.lr), warmup=True)

    def target(self, snapshot: int) -> float:
        """Skill to aim at after this many snapshots."""
        return self.first - (self.first - self.last) * snapshot / max(1, self.snapshots - 1)

    def update(self, memory: Warmth, reading: Reading, /) -> tuple[Warmth, Decision]:
        """One turn of the feedback loop."""
        s = reading.skill if math.isfinite(reading.skill) else 0.0
        target = self.target(memory.snapshot)
        warmup = self._warms_up(memory)
        warmed = memory.warmed or s < self.warm
        left = memory.left or warmed
        below = memory.below + 1 if s < target - self.slack else 0
        status = self._status(s, reading.diverged)
        snapshot, warmups = (
            memory.snapshot + (not warmup or status == "member"),
            memory.warmups + warmup,
        )
        if s < self.low and memory.returns < self.returns:
            after: After = "back"
            warmth = Warmth(
                memory.lr * 0.5, snapshot, warmups, warmed, left, 0, memory.loss, memory.returns + 1
            )
        elif s < self.low or below >= self.stuck:
            after, warmth = "reset", Warmth(memory.lr * 0.5, snapshot, warmups, left=left)
        else:
            after = "continue"
            factor = min(max(math.exp(self.gain * (s - target)), 0.5), 1.25) if warmed else 2.0
            factor = min(factor, self._brake(memory.loss, reading.loss))
            warmth = Warmth(
                memory.lr * factor, snapshot, warmups, warmed, left, below, reading.loss
            )
        given_up = not left and warmups + snapshot >= max(self.warmups, WARMUPS)
        ends = snapshot >= self.snapshots or given_up
        chunk = None if ends else Chunk(Constant(warmth.lr), warmup=self._warms_up(warmth))
        return warmth, Decision(status, after, chunk)

    def _warms_up(self, memory: Warmth) -> bool:
        """Whether the chunk to come is a short one."""
        return not memory.warmed and memory.warmups < self.warmups

    @staticmethod
    def _brake(before: float, now: float) -> float:
        """The largest factor for the learning rate after the mean loss went from `before` to `now`."""
        if not 0.0 < before * math.e < now:
            return math.inf
        return max(0.1, math.sqrt(before * math.e / now))

    def _status(self, s: float, diverged: bool) -> Status:
        if diverged:
            return "diverged"
        if s < self.low:
            return "melted"
        return "member" if s < self.warm else "cold"


AnyController = Controller[Any]
