"""Uncertainty of means over dependent members: standard errors, and the reliability of scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from gexcore.errors import InvalidSettingError, MissingExtraError

ENOUGH = 8
"""Members that a mean needs. With fewer, θ* takes the place of each missing member."""
BATCHES = 8
SPLITS = 8


class Correlation(NamedTuple):
    """Running sums of the correlation of pairs of numbers.

    The first pair is subtracted from all pairs. Equal numbers then have a sum of squares of exactly
    zero.

    Parameters
    ----------
    pairs : int
    origin, mean : array, shape (2,)
        The first pair, and the mean minus the first pair.
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
        """The sums with these pairs added (Chan, Golub & LeVeque 1983)."""
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
        """Pearson's r; NaN for fewer than two pairs, or a column of equal numbers."""
        scale = math.sqrt(self.scatter[0, 0]) * math.sqrt(self.scatter[1, 1])
        return float(self.scatter[0, 1] / scale) if scale else math.nan


RowBlocks = Iterable[tuple[slice, Iterable[NDArray[np.float64]]]]
"""Rows, one per member, in blocks of samples: pairs of a slice and the rows of those samples."""

OfMeans = Callable[[slice, NDArray[np.float64]], NDArray[np.float64]]
"""A score that is no mean itself, but a function of means over members, for a part of the samples.

The means have shape (…, samples of the part).
"""


def themselves(part: slice, means: NDArray[np.float64]) -> NDArray[np.float64]:
    """The means as they are."""
    return means


def member_groups(chains: NDArray[np.intp]) -> NDArray[np.intp]:
    """A group 0 … G − 1 for each member; groups count as independent of each other.

    Groups are the chains. A single chain is cut into `BATCHES` consecutive parts (batch means).
    This is an approximation, because neighbouring parts are still related.
    """
    _, groups = np.unique(chains, return_inverse=True)
    if len(chains) and groups.max() == 0:
        groups = np.arange(len(chains)) * min(BATCHES, len(chains)) // len(chains)
    return groups.astype(np.intp)


def mean_over_members(rows: Iterable[NDArray[np.float64]], samples: int) -> NDArray[np.float64]:
    """Mean of `rows`, read one at a time, shape (samples,); NaN entries count nothing."""
    total, seen = np.zeros(samples), np.zeros(samples)
    for row in rows:
        known = ~np.isnan(row)
        total += np.where(known, row, 0.0)
        seen += known
    return np.where(seen > 0, total / np.maximum(seen, 1), np.nan)


def jackknife(
    rows: Iterable[NDArray[np.float64]],
    groups: NDArray[np.intp],
    samples: int,
    *,
    of: Callable[[NDArray[np.float64]], NDArray[np.float64]] = np.asarray,
) -> NDArray[np.float64]:
    """Standard error of the mean of `rows` (jackknife): one group is left out at a time.

    Parameters
    ----------
    rows : iterable of arrays, shape (samples,)
        One row per member; NaN if missing.
    groups : integer array, shape (members,)
    of : callable
        The score as a function of means, of shape (groups, samples); the mean itself by default.

    Returns
    -------
    array, shape (samples,)
        Standard errors. NaN for a sample that fewer than two groups saw.
    """
    sums, seen = _sums(rows, groups, samples)
    total, weight = sums.sum(axis=0), seen.sum(axis=0)
    informed = seen > 0
    usable = informed.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        without = (total - sums) / (weight - seen)
        without = of(np.where(informed, without, np.nan))
        centre = np.nansum(without, axis=0) / usable
        variance = (usable - 1) / usable * np.nansum((without - centre) ** 2, axis=0)
    return np.where(usable >= 2, np.sqrt(variance), np.nan)


def t_quantiles(level: float, freedom: NDArray[np.intp]) -> NDArray[np.float64]:
    """Standard errors from the middle of an interval to its ends, by Student's t.

    Parameters
    ----------
    level : float
        Probability that the interval holds the true mean, between 0 and 1.
    freedom : integer array, shape (samples,)
        Degrees of freedom: groups minus one. Below one the result is NaN.

    Raises
    ------
    InvalidSettingError
        If the level is not between 0 and 1.
    MissingExtraError
        If SciPy is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.deviations.uncertainty import t_quantiles
    >>> t_quantiles(0.95, np.array([1, 7])).round(2)
    array([12.71,  2.36])
    """
    if not 0 < level < 1:
        raise InvalidSettingError(f"level is {level}, and must be between 0 and 1, such as 0.95")
    try:
        from scipy.special import stdtrit
    except ImportError as error:
        msg = f"intervals need SciPy ({error}); try: pip install 'gexcore[report]'"
        raise MissingExtraError(msg) from error
    found = stdtrit(np.maximum(freedom, 1), (1 + level) / 2)
    return np.where(freedom >= 1, found, np.nan)


def split_half(
    blocks: RowBlocks,
    chains: NDArray[np.intp],
    *,
    squares: bool = False,
    of: OfMeans = themselves,
) -> float:
    """Reliability of a score: its expected correlation with another run of the same size.

    Pearson's r is taken between the means over two halves of the chains. It is averaged over at
    most eight ways to halve them. The step from half the members to all is 2r/(1 + r)
    (Spearman–Brown). The halves of a single chain are every other of its parts (`member_groups`).
    Neighbouring parts are related, so the number is then too good.

    Parameters
    ----------
    blocks : iterable of (slice, iterable of arrays)
        Rows, one per member, whose mean is the score; NaN if missing. One block of samples is held
        at a time.
    chains : integer array, shape (members,)
        The chain of each member.
    squares : bool
        Whether the rows are squares. If so, roots of the means are compared, so that the
        largest values do not decide.
    of : callable
        The score as a function of the slice of a block and its means; the mean itself by default.

    Returns
    -------
    float
        Reliability, at most 1. About 0 if members share only noise. NaN if fewer than two chains,
        or parts, saw the same samples, or if all scores are equal.

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
    for number, one, other in _scores_of_halves(blocks, chains, of):
        pair = (np.sqrt(one), np.sqrt(other)) if squares else (one, other)
        found[number] = found.get(number, Correlation()).update(*pair)
    r = float(np.mean([each.correlation() for each in found.values()])) if found else math.nan
    return 2 * r / (1 + r) if r > 0 else r


def agreement_above(
    blocks: RowBlocks, chains: NDArray[np.intp], *, cut: float, of: OfMeans = themselves
) -> float:
    """Agreement of two halves on the samples above a cut: Dice's 2|A ∩ B| / (|A| + |B|).

    It is averaged over halves as in `split_half`, and not stepped up. The whole ensemble is surer.

    Parameters
    ----------
    blocks : iterable of (slice, iterable of arrays)
        Rows as for `split_half`, in blocks of samples.
    chains : integer array, shape (members,)
        The chain of each member.
    cut : float
        Cut of the score.
    of : callable
        The score as for `split_half`.

    Returns
    -------
    float
        Agreement from 0 to 1. NaN if nothing can be compared, or no half has a sample above the
        cut.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.deviations.uncertainty import agreement_above
    >>> rows = np.array([[0.0, 2.0, 2.0], [0.0, 2.0, 0.0]])
    >>> agreement_above([(slice(0, 3), rows)], np.arange(2), cut=1.0)
    0.6666666666666666
    """
    counts = np.zeros((SPLITS, 2), dtype=np.intp)
    for number, one, other in _scores_of_halves(blocks, chains, of):
        a, b = one > cut, other > cut
        counts[number] += np.count_nonzero(a & b), np.count_nonzero(a) + np.count_nonzero(b)
    common, flagged = counts[counts[:, 1] > 0].T
    return float(np.mean(2 * common / flagged)) if len(flagged) else math.nan


def _scores_of_halves(
    blocks: RowBlocks, chains: NDArray[np.intp], of: OfMeans
) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.float64]]]:
    """The number of each way to halve, and the scores of both halves, for each block."""
    groups = member_groups(chains)
    halves = list(_halves(int(groups.max(initial=-1)) + 1, related=len(np.unique(chains)) == 1))
    for part, rows in blocks if halves else ():
        sums, seen = _sums(rows, groups, part.stop - part.start)
        for number, half in enumerate(halves):
            weights = [_total(seen[side]) for side in (half, ~half)]
            known = (weights[0] > 0) & (weights[1] > 0)
            one, other = (
                of(part, _total(sums[side]) / np.maximum(weight, 1.0))[known]
                for side, weight in zip((half, ~half), weights, strict=True)
            )
            yield number, one, other


def _total(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of rows in a fixed order, so that blocks of any size give the same bits."""
    total = np.zeros(rows.shape[1])
    for row in rows:
        total += row
    return total


def _halves(groups: int, *, related: bool) -> Iterator[NDArray[np.bool_]]:
    """Masks of one half of the groups; every other group if groups are related."""
    if groups < 2:
        return
    size = (groups + 1) // 2
    if related:
        yield np.arange(groups) % 2 == 0
    elif (
        math.comb(groups - 1, size - 1) <= SPLITS
    ):  # only the half with group 0, so that no pair of halves comes twice
        for others in combinations(range(1, groups), size - 1):
            yield np.isin(np.arange(groups), (0, *others))
    else:
        rng = np.random.default_rng(0)
        for _ in range(SPLITS):
            yield rng.permutation(groups) < size


def _sums(
    rows: Iterable[NDArray[np.float64]], groups: NDArray[np.intp], samples: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum over the members of each group, and their number, both (groups, samples)."""
    count = int(groups.max()) + 1 if len(groups) else 0
    sums, seen = np.zeros((count, samples)), np.zeros((count, samples))
    for row, group in zip(rows, groups, strict=True):
        known = ~np.isnan(row)
        sums[group] += np.where(known, row, 0.0)
        seen[group] += known
    return sums, seen
