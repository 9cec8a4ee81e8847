"""What sets the learning rate of the next chunk of a chain, and says which snapshots are members.

A controller is a pure description; what it remembers along a chain is a value that it hands back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from gexcore.plan import Constant, Schedule

Status = Literal["member", "cold", "melted", "diverged"]
"""A snapshot in band; one that has not left θ*; one that forgot too much; one with non-finite losses."""

After = Literal["continue", "restart", "reset"]
"""Go on as it is; same parameters with a fresh optimiser; back to θ*."""

Memory = TypeVar("Memory")


class Decision(NamedTuple):
    """What becomes of a snapshot, and how its chain goes on."""

    status: Status
    after: After
    schedule: Schedule


class Controller(Protocol[Memory]):
    """Turns the skill of each snapshot into the learning rate of the next chunk."""

    def start(self) -> tuple[Memory, Schedule]:
        """Memory and learning rate at the start of a chain."""
        ...

    def update(self, memory: Memory, skill: float, *, diverged: bool) -> tuple[Memory, Decision]:
        """Memory after a snapshot of this skill (NaN where unknown), and what to do."""
        ...


@dataclass(frozen=True)
class OpenLoop:
    """The same schedule for every member, whatever happens (the paper, Algorithm 2).

    Each member starts from the one before it with a fresh optimiser; a member with non-finite
    losses, or without any skill left, is no member and sends the chain back to θ*.
    """

    schedule: Schedule

    def start(self) -> tuple[None, Schedule]:
        """No memory; the schedule."""
        return None, self.schedule

    def update(self, memory: None, skill: float, *, diverged: bool) -> tuple[None, Decision]:
        """A member unless it diverged or collapsed."""
        if diverged:
            return None, Decision("diverged", "reset", self.schedule)
        if skill <= 0:
            return None, Decision("melted", "reset", self.schedule)
        return None, Decision("member", "restart", self.schedule)


class Heat(NamedTuple):
    """What a thermostat remembers along one chain."""

    lr: float
    snapshot: int = 0
    warmed: bool = False
    below: int = 0


@dataclass(frozen=True)
class Thermostat:
    """Feedback on skill: no learning rate to choose.

    A chain is heated until its skill falls below `warm`; then the learning rate follows a
    target that falls from `first` to `last` over the chain. A chain that melts (skill below
    `low`), or stays below its target `stuck` times in a row, goes back to θ* with half the
    learning rate. Members are the snapshots with low ≤ skill < warm.

    Parameters
    ----------
    lr : float
        Where heating starts; small enough to do nothing.
    snapshots : int
        Length of a chain.
    """

    lr: float
    snapshots: int
    low: float = 0.4
    warm: float = 0.97
    first: float = 0.95
    last: float = 0.5
    stuck: int = 5
    slack: float = 0.02
    gain: float = 2.0

    def start(self) -> tuple[Heat, Schedule]:
        """Cold, at the initial learning rate."""
        return Heat(self.lr), Constant(self.lr)

    def target(self, snapshot: int) -> float:
        """Skill to aim at after this many snapshots."""
        return self.first - (self.first - self.last) * snapshot / max(1, self.snapshots - 1)

    def update(self, memory: Heat, skill: float, *, diverged: bool) -> tuple[Heat, Decision]:
        """One turn of the feedback loop."""
        s = skill if math.isfinite(skill) else 0.0
        target = self.target(memory.snapshot)
        warmed = memory.warmed or s < self.warm
        below = memory.below + 1 if s < target - self.slack else 0
        after: After = "continue"
        if s < self.low or below >= self.stuck:
            after, below, factor = "reset", 0, 0.5
        elif not warmed:
            factor = 2.0
        else:
            factor = min(max(math.exp(self.gain * (s - target)), 0.5), 1.25)
        lr = memory.lr * factor
        decision = Decision(self._status(s, diverged), after, Constant(lr))
        return Heat(lr, memory.snapshot + 1, warmed, below), decision

    def _status(self, s: float, diverged: bool) -> Status:
        if diverged:
            return "diverged"
        if s < self.low:
            return "melted"
        return "member" if s < self.warm else "cold"


AnyController = Controller[Any]
