"""How sure means over members are that are not all independent: standard errors, and reliability of
a score."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

ENOUGH = 8
"""Members that a mean needs; of fewer, θ* takes the place of each that is missing."""
BATCHES = 8
SPLITS = 8


class Correlation(NamedTuple):
    """Means, sums of squares about them and of their product, of pairs of numbers; of no pair at
    first.

    All numbers are less the first of their kind: equal numbers then have a sum of squares of
    exactly zero.

    Parameters
    ----------
    pairs : int
    origin, mean : array, shape (2,)
        The first pair; the mean less that.
    scatter : array, shape (2, 2)
        Sums of products of deviations from the mean.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.deviations.uncertainty import Correlation
    >>> first = Correlation().update(np.array([0.1, 0.4]), np.array([1.0, 2.0]))
    >>> round(first.update(np.array([0.8]), np.array([9.0])).correlation(), 3)
    0.947
    """

    pairs: int = 0
    origin: NDArray[np.float64] = np.zeros(2)
    mean: NDArray[np.float64] = np.zeros(2)
    scatter: NDArray[np.float64] = np.zeros((2, 2))

    def update(self, one: NDArray[np.float64], other: NDArray[np.float64]) -> Self:
        """Those of these pairs as well (Chan, Golub & LeVeque 1983)."""
        if not len(one):
            return self
        block = np.stack([one, other])
        origin = self.origin if self.pairs else block[:, 0].copy()
        block -= origin[:, None]
        mean = block.mean(axis=1)
        block -= mean[:, None]
        pairs, step = self.pairs + len(one), mean - self.mean
        between = self.pairs * len(one) / pairs * np.outer(step, step)
        return self._replace(
            pairs=pairs,
            origin=origin,
            mean=self.mean + step * (len(one) / pairs),
            scatter=self.scatter + block @ block.T + between,
        )

    def correlation(self) -> float:
        """Pearson's r; NaN for fewer than two pairs, or numbers of one kind that are all equal."""
        scale = math.sqrt(self.scatter[0, 0]) * math.sqrt(self.scatter[1, 1])
        return float(self.scatter[0, 1] / scale) if scale else math.nan


RowBlocks = Iterable[tuple[slice, Iterable[NDArray[np.float64]]]]
"""Rows, one per member, in blocks of samples: pairs of a slice and the rows of those samples."""


def member_groups(chains: NDArray[np.intp]) -> NDArray[np.intp]:
    """A group 0 … G − 1 for each member; groups are treated as independent, members of one are not.

    Groups are the chains. Where there is only one, they are `BATCHES` consecutive parts of it
    (batch means): an approximation, since neighbouring parts are still related.
    """
    _, groups = np.unique(chains, return_inverse=True)
    if len(chains) and groups.max() == 0:
        groups = np.arange(len(chains)) * min(BATCHES, len(chains)) // len(chains)
    return groups.astype(np.intp)


def mean_over_members(rows: Iterable[NDArray[np.float64]], samples: int) -> NDArray[np.float64]:
    """Mean of `rows`, shape (samples,), one at a time; NaN in a row counts nothing, a column of it
    gives NaN."""
    total, seen = np.zeros(samples), np.zeros(samples)
    for row in rows:
        known = ~np.isnan(row)
        total += np.where(known, row, 0.0)
        seen += known
    return np.where(seen > 0, total / np.maximum(seen, 1), np.nan)


def jackknife(
    rows: Iterable[NDArray[np.float64]], groups: NDArray[np.intp], samples: int
) -> NDArray[np.float64]:
    """Standard error of the mean of `rows`, leaving out one group at a time.

    Parameters
    ----------
    rows : iterable of arrays, shape (samples,)
        One per member; NaN where missing.
    groups : integer array, shape (members,)

    Returns
    -------
    array, shape (samples,)
        NaN for a sample that fewer than two groups saw.
    """
    sums, seen = _sums(rows, groups, samples)
    total, weight = sums.sum(axis=0), seen.sum(axis=0)
    informed = seen > 0
    usable = informed.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        without = (total - sums) / (weight - seen)
        without = np.where(informed, without, np.nan)
        centre = np.nansum(without, axis=0) / usable
        variance = (usable - 1) / usable * np.nansum((without - centre) ** 2, axis=0)
    return np.where(usable >= 2, np.sqrt(variance), np.nan)


def split_half(blocks: RowBlocks, chains: NDArray[np.intp], *, squares: bool = False) -> float:
    """Reliability of a score: the correlation to expect with that of another run of the same size.

    Pearson's correlation r between the means over two halves of the chains, averaged over the
    ways to halve them (eight at most), stepped up from half the members to all of them: 2r/(1 + r)
    (Spearman–Brown). Of a single chain the halves are every other of its parts (`member_groups`):
    neighbours are related, which makes the number too good.

    Parameters
    ----------
    blocks : iterable of (slice, iterable of arrays)
        Rows, one per member, whose mean is the score; NaN where missing. They come in blocks of
        samples, of which one is held at a time.
    chains : integer array, shape (members,)
        The chain each member is from.
    squares : bool
        Whether the rows are squares: then the roots of the means are compared, lest the largest
        decide.

    Returns
    -------
    float
        At most 1, about 0 where members share nothing but noise; NaN where fewer than two chains,
        or parts, saw the same samples, or all scores are equal.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.deviations.uncertainty import split_half
    >>> truth, noise = np.random.default_rng(0).normal(size=(2, 4, 1000))
    >>> bool(split_half([(slice(0, 1000), truth[:1] + noise)], np.arange(4)) > 0.7)
    True
    >>> bool(abs(split_half([(slice(0, 1000), noise)], np.arange(4))) < 0.2)
    True
    """
    found: dict[int, Correlation] = {}
    for number, one, other in _means_of_halves(blocks, chains):
        pair = (np.sqrt(one), np.sqrt(other)) if squares else (one, other)
        found[number] = found.get(number, Correlation()).update(*pair)
    r = float(np.mean([each.correlation() for each in found.values()])) if found else math.nan
    return 2 * r / (1 + r) if r > 0 else r


def agreement_above(blocks: RowBlocks, chains: NDArray[np.intp], *, cut: float) -> float:
    """How far two halves of the chains agree on the samples above a cut: Dice's coefficient, 2|A ∩
    B| / (|A| + |B|).

    Averaged over halves as in `split_half`, and not stepped up: the whole ensemble is surer.

    Parameters
    ----------
    blocks : iterable of (slice, iterable of arrays)
        Rows as for `split_half`, in blocks of samples.
    chains : integer array, shape (members,)
        The chain each member is from.
    cut : float
        Of the mean of the rows.

    Returns
    -------
    float
        From 0 to 1; NaN where nothing can be compared, or no half has a sample above the cut.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.deviations.uncertainty import agreement_above
    >>> agreement_above([(slice(0, 3), np.array([[0.0, 2.0, 2.0], [0.0, 2.0, 0.0]]))], np.arange(2), cut=1.0)
    0.6666666666666666
    """
    counts = np.zeros((SPLITS, 2), dtype=np.intp)
    for number, one, other in _means_of_halves(blocks, chains):
        a, b = one > cut, other > cut
        counts[number] += np.count_nonzero(a & b), np.count_nonzero(a) + np.count_nonzero(b)
    common, flagged = counts[counts[:, 1] > 0].T
    return float(np.mean(2 * common / flagged)) if len(flagged) else math.nan


def _means_of_halves(
    blocks: RowBlocks, chains: NDArray[np.intp]
) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.float64]]]:
    """Of each block and way to halve the chains: its number, and the means over both halves of what
    both saw."""
    groups = member_groups(chains)
    halves = list(_halves(int(groups.max(initial=-1)) + 1, related=len(np.unique(chains)) == 1))
    for part, rows in blocks if halves else ():
        sums, seen = _sums(rows, groups, part.stop - part.start)
        for number, half in enumerate(halves):
            weights = [_total(seen[side]) for side in (half, ~half)]
            known = (weights[0] > 0) & (weights[1] > 0)
            one, other = (
                _total(sums[side])[known] / weight[known]
                for side, weight in zip((half, ~half), weights, strict=True)
            )
            yield number, one, other


def _total(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Their sum, one after the other whatever the size of a block, so that it is the same to the
    bit."""
    total = np.zeros(rows.shape[1])
    for row in rows:
        total += row
    return total


def _halves(groups: int, *, related: bool) -> Iterator[NDArray[np.bool_]]:
    """Masks of one half of the groups; of related ones, every other."""
    if groups < 2:
        return
    size = (groups + 1) // 2
    if related:
        yield np.arange(groups) % 2 == 0
    elif (
        math.comb(groups - 1, size - 1) <= SPLITS
    ):  # the half that holds group 0: no pair of halves comes twice
        for others in combinations(range(1, groups), size - 1):
            yield np.isin(np.arange(groups), (0, *others))
    else:
        rng = np.random.default_rng(0)
        for _ in range(SPLITS):
            yield rng.permutation(groups) < size


def _sums(
    rows: Iterable[NDArray[np.float64]], groups: NDArray[np.intp], samples: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum over the members of each group, and their number, both of shape (groups, samples); NaN
    counts nothing."""
    count = int(groups.max()) + 1 if len(groups) else 0
    sums, seen = np.zeros((count, samples)), np.zeros((count, samples))
    for row, group in zip(rows, groups, strict=True):
        known = ~np.isnan(row)
        sums[group] += np.where(known, row, 0.0)
        seen[group] += known
    return sums, seen
