"""Deviations D [members × samples]: what every influence is a view of."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from gexcore import deviations as dv
from gexcore.uncertainty import jackknife, member_groups, split_half

BLOCK = 8192
"""Samples in a block of influences, if not told otherwise."""

Blocks = Iterator[tuple[slice, NDArray[np.float64]]]
"""Influences in blocks of samples: pairs of a slice and an array of shape (tests, slice)."""


class Table(Protocol):
    """Deviations of the same members on some samples, in whatever form they are held.

    Influence is a mean over members, I = Σ w Δ'Δ / Σ |w|; where a method defines it as a sum, its
    deviations are scaled by the root of their number.
    """

    @property
    def samples(self) -> int:
        """How many samples."""
        ...

    def __len__(self) -> int:
        """How many members."""
        ...

    def block(self, start: int, stop: int, /) -> NDArray[np.float64]:
        """Deviations of the samples start … stop − 1, shape (members, stop − start); NaN where not seen."""
        ...

    def self_influence(self) -> NDArray[np.float64]:
        """I(z, z), shape (samples,); NaN for a sample that no member saw."""
        ...

    def standard_error(self) -> NDArray[np.float64]:
        """Of self-influence as a mean over draws, shape (samples,); NaN where members are no draws."""
        ...

    def reliability(self) -> float:
        """Of the ranking by self-influence; NaN where members are no draws."""
        ...

    def cross(self, tests: Self, /, *, size: int = BLOCK) -> Blocks:
        """I(z', z) between the samples of `tests` and these, `size` samples at a time."""
        ...


class MemberTable(ABC):
    """A table that holds a row for every member."""

    chains: NDArray[np.intp] | None
    weights: NDArray[np.float64] | None

    @property
    @abstractmethod
    def samples(self) -> int:
        """How many samples."""

    @abstractmethod
    def __len__(self) -> int:
        """How many members."""

    @abstractmethod
    def rows(self) -> Iterator[NDArray[np.float64]]:
        """Deviations of each member, one at a time: no second table in memory."""

    @abstractmethod
    def block(self, start: int, stop: int, /) -> NDArray[np.float64]:
        """Deviations of the samples start … stop − 1, shape (members, stop − start)."""

    def self_influence(self) -> NDArray[np.float64]:
        """I(z, z), shape (samples,)."""
        moments = dv.no_moments(np.zeros(self.samples))
        weights = np.ones(len(self)) if self.weights is None else self.weights
        for row, weight in zip(self.rows(), weights, strict=True):
            moments = dv.update(moments, row, float(weight))
        return np.asarray(dv.mean_square(moments))

    def standard_error(self) -> NDArray[np.float64]:
        """Of self-influence, leaving out one chain, or draw, at a time, shape (samples,); NaN where there are none."""
        # a mean over members of unequal weight is no mean over draws
        if self.chains is None or self.weights is not None:
            return np.full(self.samples, np.nan)
        return jackknife((row**2 for row in self.rows()), member_groups(self.chains), self.samples)

    def reliability(self) -> float:
        """Of the ranking by self-influence, from two halves of the chains, or draws; NaN where there are none."""
        if self.chains is None or self.weights is not None:
            return math.nan
        return split_half((row**2 for row in self.rows()), self.chains, self.samples)

    def cross(self, tests: Self, /, *, size: int = BLOCK) -> Blocks:
        """I(z', z), `size` samples at a time."""
        dev_test = tests.block(0, tests.samples)
        for start in range(0, self.samples, size):
            stop = min(start + size, self.samples)
            found = dv.cross_influence(dev_test, self.block(start, stop), self.weights)
            yield slice(start, stop), np.asarray(found)


@dataclass(frozen=True, eq=False)
class LossTable(MemberTable):
    """Raw losses of members, and of θ* measured in the same way: Δ = ℓ(z, ψ) − max(ℓ(z, θ*), floor).

    Parameters
    ----------
    losses : array, shape (members, samples)
        NaN where a member did not see the sample.
    base_losses : array, shape (samples,)
        At θ*.
    chains : integer array, shape (members,)
        The chain each member is from; members of one chain are not independent.
    weights : array, shape (members,), optional
        Of each member in the mean; may be negative. Equal where not given.
    floor : float
        See `gexcore.deviations.deviations`.
    """

    losses: NDArray[Any]
    base_losses: NDArray[Any]
    chains: NDArray[np.intp]
    weights: NDArray[np.float64] | None = None
    floor: float = 0.0

    @property
    def samples(self) -> int:
        """How many samples."""
        return len(self.base_losses)

    def __len__(self) -> int:
        return len(self.losses)

    def floored(self, floor: float) -> LossTable:
        """The same losses under another floor."""
        return replace(self, floor=floor)

    def select(self, members: Any) -> LossTable:
        """The table of some members only."""
        weights = None if self.weights is None else self.weights[members]
        return replace(self, losses=self.losses[members], chains=self.chains[members], weights=weights)

    def rows(self) -> Iterator[NDArray[np.float64]]:
        """Deviations of each member, one at a time: no second table in memory."""
        base = self.base_losses.astype(np.float64)
        for losses in self.losses:
            yield dv.deviations(losses[None, :].astype(np.float64), base, floor=self.floor)[0]

    def block(self, start: int, stop: int, /) -> NDArray[np.float64]:
        """Deviations of the samples start … stop − 1, shape (members, stop − start)."""
        part = slice(start, stop)
        losses, base = self.losses[:, part].astype(np.float64), self.base_losses[part].astype(np.float64)
        return np.asarray(dv.deviations(losses, base, floor=self.floor))


@dataclass(frozen=True, eq=False)
class DeviationTable(MemberTable):
    """Deviations given as they are, such as directional derivatives.

    Parameters
    ----------
    deviations : array, shape (members, samples)
    chains : integer array, shape (members,), optional
        The independent draw each member is from; None where members are no draws.
    weights : array, shape (members,), optional
        Of each member in the mean; may be negative. Equal where not given.
    """

    deviations: NDArray[np.float64]
    chains: NDArray[np.intp] | None = None
    weights: NDArray[np.float64] | None = None

    @property
    def samples(self) -> int:
        """How many samples."""
        return int(self.deviations.shape[1])

    def __len__(self) -> int:
        return len(self.deviations)

    def rows(self) -> Iterator[NDArray[np.float64]]:
        """Deviations of each member."""
        return iter(self.deviations)

    def block(self, start: int, stop: int, /) -> NDArray[np.float64]:
        """Deviations of the samples start … stop − 1, shape (members, stop − start)."""
        return self.deviations[:, start:stop]
