"""Controllers: they set the learning rate of each chunk and say which snapshots are members.

A controller is a frozen value. It returns its memory of a chain as another value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from gexcore.ensembles.plan import Constant, Schedule

Status = Literal["member", "cold", "melted", "diverged", "anchor", "part"]
"""Status of a snapshot.

A "member" has a skill in the band. A "cold" snapshot has not left θ*. A "melted" snapshot has lost
too much skill. A "diverged" snapshot has losses that are not finite,
or far too large. An "anchor" is the start of
members and no member itself. A "part" is a snapshot within an epoch, if each member is one
epoch.
"""

After = Literal["continue", "restart", "back", "reset"]
"""The start of the next chunk.

"continue" keeps the state. "restart" keeps the parameters and takes a fresh optimiser. "back"
returns to the start of the last chunk. "reset" returns to θ*.
"""

Memory = TypeVar("Memory")

WARMUPS = 28
"""The most doublings of the learning rate: from far too small to far too large."""


class Reading(NamedTuple):
    """The skill and loss of a snapshot, which show how far its chain has gone.

    Parameters
    ----------
    skill : float
        Share of the skill of θ* that is left. NaN if unknown.
    loss : float
        Mean clipped loss of the samples that steer.
    diverged : bool
        Whether any loss is not finite.
    error : float
        Standard error of `loss`.
    """

    skill: float
    loss: float
    diverged: bool = False
    error: float = 0.0


class Chunk(NamedTuple):
    """The steps of a chain until the next snapshot.

    Parameters
    ----------
    schedule : callable
        Learning rate of each step of the chunk, from 0.
    warmup : bool
        Whether the chunk is a short one of the warm-up.
    """

    schedule: Schedule
    warmup: bool = False


class Decision(NamedTuple):
    """The status of a snapshot and the next chunk of its chain, None at its end."""

    status: Status
    after: After
    chunk: Chunk | None


class Controller(Protocol[Memory]):
    """A rule from the reading of a snapshot to the learning rate of the next chunk."""

    def start(self) -> tuple[Memory, Chunk | None]:
        """The first memory and the first chunk of a chain."""
        ...

    def update(self, memory: Memory, reading: Reading, /) -> tuple[Memory, Decision]:
        """The memory after a snapshot, and the decision."""
        ...


@dataclass(frozen=True)
class OpenLoop:
    """The same schedule for every member (the paper, Algorithm 2).

    Each member starts from the member before it, with a fresh optimiser. A snapshot without finite
    losses, or without skill, is no member. It sends the chain back to θ*.
    """

    schedule: Schedule
    snapshots: int

    def start(self) -> tuple[int, Chunk | None]:
        """Zero snapshots, and the schedule."""
        return 0, Chunk(self.schedule)

    def update(self, memory: int, reading: Reading, /) -> tuple[int, Decision]:
        """A snapshot is a member unless it diverged or lost all skill."""
        chunk = Chunk(self.schedule) if memory + 1 < self.snapshots else None
        if reading.diverged:
            return memory + 1, Decision("diverged", "reset", chunk)
        if reading.skill <= 0:
            return memory + 1, Decision("melted", "reset", chunk)
        return memory + 1, Decision("member", "restart", chunk)


class Warmth(NamedTuple):
    """The memory of a thermostat along one chain.

    Parameters
    ----------
    lr : float
        Learning rate of the next chunk.
    snapshot : int
        Snapshots so far. A snapshot of the warm-up counts only if it is a member.
    warmups : int
        Warm-up chunks so far.
    warmed : bool
        Whether the chain has left θ* since it last started there.
    left : bool
        Whether the chain has ever left θ*.
    below : int
        Number of snapshots in a row below the target.
    loss : float
        Mean loss of the last snapshot that the chain continued from. 0 at θ*.
    returns : int
        Number of returns in a row to the start of the same chunk.
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
    """Feedback on skill, which sets the learning rate.

    A chain warms up in short chunks until its skill falls below `warm`. Then the learning rate
    follows a target skill, which falls from `first` to `last` over the chain. Members are the
    snapshots with low ≤ skill < warm.

    In a deep minimum losses first grow exponentially, by orders of magnitude, and skill falls only
    later. So the learning rate is lowered once the mean loss has grown more than e-fold. A chain
    melts at a skill below `low`. It then returns to the start of its chunk with half the learning
    rate. After `returns` returns in a row it goes back to θ*. So does a chain with `stuck`
    snapshots in a row below its target.

    Parameters
    ----------
    lr : float
        The learning rate of the first warm-up chunk, small enough to do nothing.
    snapshots : int
        Length of a chain without its warm-up. A member at the end of the warm-up counts.
    warmups : int
        The most short warm-up chunks of a chain. Whole chunks follow. A chain ends if it has not
        left θ* after `WARMUPS` chunks of both kinds.
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
        """A cold chain at the initial learning rate."""
        return Warmth(self.lr), Chunk(Constant(self.lr), warmup=True)

    def target(self, snapshot: int) -> float:
        """Target skill after this many snapshots."""
        return self.first - (self.first - self.last) * snapshot / max(1, self.snapshots - 1)

    def update(self, memory: Warmth, reading: Reading, /) -> tuple[Warmth, Decision]:
        """The memory and the decision after one snapshot."""
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
            # the skill has no upper end where θ* itself has hardly any
            wanted = math.exp(min(self.gain * (s - target), 1.0))
            factor = min(max(wanted, 0.5), 1.25) if warmed else 2.0
            factor = min(factor, self._brake(memory.loss, reading.loss))
            warmth = Warmth(
                memory.lr * factor, snapshot, warmups, warmed, left, below, reading.loss
            )
        given_up = not left and warmups + snapshot >= max(self.warmups, WARMUPS)
        ends = snapshot >= self.snapshots or given_up
        chunk = None if ends else Chunk(Constant(warmth.lr), warmup=self._warms_up(warmth))
        return warmth, Decision(status, after, chunk)

    def _warms_up(self, memory: Warmth) -> bool:
        """Whether the next chunk is a short one."""
        return not memory.warmed and memory.warmups < self.warmups

    @staticmethod
    def _brake(before: float, now: float) -> float:
        """The largest factor for the learning rate after a rise of the mean loss."""
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
