"""Agreement of two halves of an ensemble: the reliability of scores and of suspects."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from gexcore.deviations.correlation import Correlation
from gexcore.deviations.uncertainty import group_sums, member_groups

SPLITS = 8
"""The most ways to halve an ensemble that are averaged."""

RowBlocks = Iterable[tuple[slice, Iterable[NDArray[np.float64]]]]
"""Rows, one per member, in blocks of samples: pairs of a slice and the rows of those samples."""

OfMeans = Callable[[slice, NDArray[np.float64]], NDArray[np.float64]]
"""A score that is no mean itself, but a function of means over members, for a part of the samples.

The means have shape (…, samples of the part).
"""


def themselves(part: slice, means: NDArray[np.float64]) -> NDArray[np.float64]:
    """The means as they are."""
    return means


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
    >>> from gexcore.deviations.halves import split_half
    >>> truth, noise = np.random.default_rng(0).normal(size=(2, 4, 1000))
    >>> bool(split_half([(slice(0, 1000), truth[:1] + noise)], np.arange(4)) > 0.7)
    True
    >>> bool(abs(split_half([(slice(0, 1000), noise)], np.arange(4))) < 0.2)
    True
    """
    found: dict[int, Correlation] = {}
    for number, one, other in scores_of_halves(blocks, chains, of):
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
    >>> from gexcore.deviations.halves import agreement_above
    >>> rows = np.array([[0.0, 2.0, 2.0], [0.0, 2.0, 0.0]])
    >>> agreement_above([(slice(0, 3), rows)], np.arange(2), cut=1.0)
    0.6666666666666666
    """
    counts = np.zeros((SPLITS, 2), dtype=np.intp)
    for number, one, other in scores_of_halves(blocks, chains, of):
        a, b = one > cut, other > cut
        counts[number] += np.count_nonzero(a & b), np.count_nonzero(a) + np.count_nonzero(b)
    common, flagged = counts[counts[:, 1] > 0].T
    return float(np.mean(2 * common / flagged)) if len(flagged) else math.nan


def scores_of_halves(
    blocks: RowBlocks, chains: NDArray[np.intp], of: OfMeans
) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.float64]]]:
    """The number of each way to halve, and the scores of both halves, for each block."""
    groups = member_groups(chains)
    halves = list(_halves(int(groups.max(initial=-1)) + 1, related=len(np.unique(chains)) == 1))
    for part, rows in blocks if halves else ():
        sums, seen = group_sums(rows, groups, part.stop - part.start)
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
