"""Rankings: the samples of strongest influence, found block by block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Top(NamedTuple):
    """The training samples most related to each test sample.

    Parameters
    ----------
    proponents, opponents : integer arrays, shape (tests, k)
        Positions of the largest influences first, and of the smallest (most negative) first.
    proponent_values, opponent_values : arrays, shape (tests, k)
    """

    proponents: NDArray[np.intp]
    proponent_values: NDArray[np.float64]
    opponents: NDArray[np.intp]
    opponent_values: NDArray[np.float64]


Found = tuple[NDArray[np.intp], NDArray[np.float64]]


def highest(scores: NDArray[np.float64], k: int | None = None) -> NDArray[np.intp]:
    """Positions of the `k` highest scores, or of all, highest first; equal scores in order.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.deviations.ranking import highest
    >>> highest(np.array([0.5, 2.0, 0.5, 1.0]), 3)
    array([1, 3, 0])
    """
    if k is None or k >= len(scores):
        return np.argsort(-scores, kind="stable")
    bound = np.partition(scores, len(scores) - k)[len(scores) - k]
    chosen = np.flatnonzero(scores >= bound)
    return chosen[np.argsort(-scores[chosen], kind="stable")][:k]


def strongest(blocks: Iterable[tuple[slice, NDArray[np.float64]]], k: int) -> Top:
    """The strongest influences, from blocks of training samples.

    Parameters
    ----------
    blocks : iterable of (slice, array)
        Blocks of `gexcore.Influence.influence_blocks`.
    k : int
    """
    blocks = iter(blocks)
    part, block = next(blocks)
    best, worst = (_updated(None, part.start, block, k, sign=sign) for sign in (1, -1))
    for part, block in blocks:
        best = _updated(best, part.start, block, k, sign=1)
        worst = _updated(worst, part.start, block, k, sign=-1)
    return Top(best[0], best[1], worst[0], -worst[1])


def join(tops: Sequence[Top], k: int) -> Top:
    """One `Top` from disjoint parts of the test samples; an empty `Top` from no part."""
    none = np.empty((0, k), np.intp), np.empty((0, k))
    return Top(*(np.concatenate(column) for column in zip(Top(*none, *none), *tops, strict=True)))


def _updated(
    found: Found | None, start: int, block: NDArray[np.float64], k: int, *, sign: int
) -> Found:
    """The largest sign · influence per row, among those found and a block from `start` on."""
    if found is None or found[1].shape[1] < k:
        return _merged(found, start, sign * block, k)
    # few rows of a block hold a new extreme, and an extreme costs much less than a partition
    extremes = block.max(axis=1) if sign > 0 else -block.min(axis=1)
    rows = np.flatnonzero(~(extremes <= found[1][:, -1]))
    if len(rows):
        found[0][rows], found[1][rows] = _merged(
            (found[0][rows], found[1][rows]), start, sign * block[rows], k
        )
    return found


def _merged(found: Found | None, start: int, values: NDArray[np.float64], k: int) -> Found:
    positions = np.broadcast_to(np.arange(start, start + values.shape[1]), values.shape)
    if found is not None:
        positions = np.concatenate([found[0], positions], axis=1)
        values = np.concatenate([found[1], values], axis=1)
    if values.shape[1] > k:
        part = np.argpartition(-values, k - 1, axis=1)[:, :k]
        positions, values = (
            np.take_along_axis(positions, part, 1),
            np.take_along_axis(values, part, 1),
        )
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(positions, order, 1), np.take_along_axis(values, order, 1)
