"""Deviations D [members × samples]: what every influence is a view of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from gexcore import deviations as dv
from gexcore.uncertainty import jackknife, member_groups

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

    def cross(self, tests: Self, /, *, size: int = BLOCK) -> Blocks:
        """I(z', z) between the samples of `tests` and these, `size` samples at a time."""
        ...


@dataclass(frozen=True, eq=False)
class LossTable:
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

    def self_influence(self) -> NDArray[np.float64]:
        """I(z, z), shape (samples,)."""
        return _mean_square(self)

    def standard_error(self) -> NDArray[np.float64]:
        """Of self-influence, leaving out one chain at a time, shape (samples,)."""
        return _standard_error(self)

    def cross(self, tests: LossTable, /, *, size: int = BLOCK) -> Blocks:
        """I(z', z), `size` samples at a time."""
        return _cross(tests, self, size)


@dataclass(frozen=True, eq=False)
class DeviationTable:
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

    def self_influence(self) -> NDArray[np.float64]:
        """I(z, z), shape (samples,)."""
        return _mean_square(self)

    def standard_error(self) -> NDArray[np.float64]:
        """Of self-influence, leaving out one draw at a time, shape (samples,); NaN where there are none."""
        return _standard_error(self)

    def cross(self, tests: DeviationTable, /, *, size: int = BLOCK) -> Blocks:
        """I(z', z), `size` samples at a time."""
        return _cross(tests, self, size)


Rows = LossTable | DeviationTable


def _mean_square(table: Rows) -> NDArray[np.float64]:
    moments = dv.no_moments(np.zeros(table.samples))
    weights = np.ones(len(table)) if table.weights is None else table.weights
    for row, weight in zip(table.rows(), weights, strict=True):
        moments = dv.update(moments, row, float(weight))
    return np.asarray(dv.mean_square(moments))


def _standard_error(table: Rows) -> NDArray[np.float64]:
    # a mean over members of unequal weight is no mean over draws
    if table.chains is None or table.weights is not None:
        return np.full(table.samples, np.nan)
    return jackknife((row**2 for row in table.rows()), member_groups(table.chains), table.samples)


def _cross(tests: Rows, train: Rows, size: int) -> Blocks:
    dev_test = tests.block(0, tests.samples)
    for start in range(0, train.samples, size):
        stop = min(start + size, train.samples)
        found = dv.cross_influence(dev_test, train.block(start, stop), train.weights)
        yield slice(start, stop), np.asarray(found)
