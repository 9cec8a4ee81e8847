"""Tables of deviations D [members × samples]: every influence is a view of one."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from gexcore.deviations import equation as dv
from gexcore.deviations.blocks import (
    BLOCK,
    CACHED,
    Blocks,
    block_size,
    by_parts,
    cached_parts,
    parts,
)
from gexcore.deviations.halves import split_half
from gexcore.deviations.ranking import Top, join, strongest
from gexcore.deviations.uncertainty import jackknife, member_groups

TILE = 256
"""Test samples in one product."""


class Table(Protocol):
    """Deviations of the same members on some samples, in any form.

    Influence is a mean over members, I = Σ w Δ'Δ / Σ |w|. A method that defines it as a sum scales
    its deviations by the root of their number.
    """

    @property
    def samples(self) -> int:
        """How many samples."""
        ...

    def __len__(self) -> int:
        """How many members."""
        ...

    def block(self, start: int, stop: int, /) -> NDArray[np.float64]:
        """Deviations of samples start … stop − 1, shape (members, stop − start); NaN if unseen."""
        ...

    def self_influence(self) -> NDArray[np.float64]:
        """I(z, z), shape (samples,); NaN for a sample that no member saw."""
        ...

    def standard_error(self) -> NDArray[np.float64]:
        """Standard error of self-influence, shape (samples,); NaN if members are no draws."""
        ...

    def reliability(self) -> float:
        """Reliability of the ranking by self-influence; NaN if members are no draws."""
        ...

    def cross(self, tests: Self, /, *, size: int | None = None) -> Blocks:
        """I(z', z) between the samples of `tests` and these, `size` samples at a time."""
        ...

    def group_cross(
        self, tests: Self, codes: NDArray[np.intp], count: int, /
    ) -> NDArray[np.float64]:
        """I(z', z) summed over the samples of each group 0 … count − 1, shape (tests, count)."""
        ...

    def top(self, tests: Self, k: int, /) -> Top:
        """The `k` samples with the strongest I(z', z) for each sample of `tests`."""
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

        def score(part: slice) -> NDArray[np.float64]:
            return np.asarray(dv.self_influence(self.block(part.start, part.stop), self.weights))

        return by_parts(len(self), self.samples, score)

    def standard_error(
        self, of: Callable[[NDArray[np.float64]], NDArray[np.float64]] = np.asarray
    ) -> NDArray[np.float64]:
        """Standard error of self-influence over chains or draws, shape (samples,); else NaN.

        Parameters
        ----------
        of : callable
            A function of self-influence, whose error it is then, such as `log_of_positive`.
        """
        # a mean with unequal weights is no mean over draws
        if self.chains is None or self.weights is not None:
            return np.full(self.samples, np.nan)
        groups = member_groups(self.chains)

        def score(part: slice) -> NDArray[np.float64]:
            squares = self.block(part.start, part.stop) ** 2
            return jackknife(squares, groups, part.stop - part.start, of=of)

        return by_parts(len(self), self.samples, score)

    def reliability(self) -> float:
        """Reliability of the ranking, from two halves of the chains or draws; else NaN."""
        if self.chains is None or self.weights is not None:
            return math.nan
        blocks = (
            (part, self.block(part.start, part.stop) ** 2)
            for part in cached_parts(len(self), self.samples)
        )
        return split_half(blocks, self.chains, squares=True)

    def cross(self, tests: Self, /, *, size: int | None = None) -> Blocks:
        """I(z', z), `size` samples at a time."""
        dev_test = tests.block(0, tests.samples)
        return self._cross(dev_test, block_size(tests.samples) if size is None else size)

    def group_cross(
        self, tests: Self, codes: NDArray[np.intp], count: int, /
    ) -> NDArray[np.float64]:
        """I(z', z) summed over each group, from summed deviations: influence is additive."""
        summed = np.zeros((len(self), count))
        for part in parts(self.samples, BLOCK):
            for total, row in zip(summed, self.block(part.start, part.stop), strict=True):
                total += np.bincount(codes[part], weights=row, minlength=count)
        return np.asarray(dv.cross_influence(tests.block(0, tests.samples), summed, self.weights))

    def top(self, tests: Self, k: int, /) -> Top:
        """The `k` samples with the strongest I(z', z), from products that stay in the cache."""
        size = max(CACHED // TILE, 4 * k)
        dev_tests = (tests.block(part.start, part.stop) for part in parts(tests.samples, TILE))
        return join([strongest(self._cross(dev_test, size), k) for dev_test in dev_tests], k)

    def _cross(self, dev_test: NDArray[np.float64], size: int) -> Blocks:
        for part in parts(self.samples, size):
            yield part, self._influence(dev_test, self.block(part.start, part.stop))

    def _influence(
        self, dev_test: NDArray[np.float64], dev: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        return np.asarray(dv.cross_influence(dev_test, dev, self.weights))


@dataclass(frozen=True, eq=False)
class LossTable(MemberTable):
    """Raw losses of members, and of θ* measured in the same way.

    Parameters
    ----------
    losses : array, shape (members, samples)
        Raw losses. NaN if a member did not see the sample.
    base_losses : array, shape (samples,)
        Losses at θ*.
    chains : integer array, shape (members,)
        The chain of each member. Members of one chain are not independent.
    weights : array, shape (members,), optional
        Weight of each member in the mean; may be negative. Equal by default.
    floor, ceiling : float
        Bounds of the losses: see `gexcore.deviations.equation.deviations`.
    """

    losses: NDArray[Any]
    base_losses: NDArray[Any]
    chains: NDArray[np.intp]
    weights: NDArray[np.float64] | None = None
    floor: float = 0.0
    ceiling: float = math.inf

    @property
    def samples(self) -> int:
        """How many samples."""
        return len(self.base_losses)

    def __len__(self) -> int:
        return len(self.losses)

    def bounded(self, floor: float, ceiling: float) -> LossTable:
        """The same losses within other bounds."""
        return replace(self, floor=floor, ceiling=ceiling)

    def select(self, members: Any) -> LossTable:
        """The table of some members only."""
        if np.array_equal(members, np.arange(len(self))):
            return self
        weights = None if self.weights is None else self.weights[members]
        return replace(
            self, losses=self.losses[members], chains=self.chains[members], weights=weights
        )

    def rows(self) -> Iterator[NDArray[np.float64]]:
        """Deviations of each member, one at a time: no second table in memory."""
        base = self.base_losses.astype(np.float64)
        for losses in self.losses:
            yield self._deviations(losses[None, :].astype(np.float64), base)[0]

    def block(self, start: int, stop: int, /) -> NDArray[np.float64]:
        """Deviations of the samples start … stop − 1, shape (members, stop − start)."""
        part = slice(start, stop)
        losses, base = (
            self.losses[:, part].astype(np.float64),
            self.base_losses[part].astype(np.float64),
        )
        return self._deviations(losses, base)

    def _deviations(
        self, losses: NDArray[np.float64], base: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        return np.asarray(dv.deviations(losses, base, floor=self.floor, ceiling=self.ceiling))


@dataclass(frozen=True, eq=False)
class DeviationTable(MemberTable):
    """Deviations as numbers, such as directional derivatives.

    Parameters
    ----------
    deviations : array, shape (members, samples)
    chains : integer array, shape (members,), optional
        The independent draw of each member. None if members are no draws.
    weights : array, shape (members,), optional
        Weight of each member in the mean; may be negative. Equal by default.
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


def groups_that_saw(table: LossTable) -> NDArray[np.intp]:
    """Number of groups of members that saw each sample, shape (samples,): see `member_groups`."""
    groups = member_groups(table.chains)
    found = np.zeros(table.samples, dtype=np.intp)
    for group in np.unique(groups):
        rows = table.losses[groups == group]
        saw = np.zeros(table.samples, dtype=bool)
        for row in rows:
            saw |= ~np.isnan(row)
        found += saw
    return found
