"""The samples of strongest influence, found block by block."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Top(NamedTuple):
    """The training samples most related to each test sample.

    Parameters
    ----------
    proponents, opponents : integer arrays, shape (tests, k)
        Largest influence first; smallest (most negative) first.
    proponent_values, opponent_values : arrays, shape (tests, k)
    """

    proponents: NDArray[np.intp]
    proponent_values: NDArray[np.float64]
    opponents: NDArray[np.intp]
    opponent_values: NDArray[np.float64]


Found = tuple[NDArray[np.intp], NDArray[np.float64]]


def strongest(blocks: Iterable[tuple[slice, NDArray[np.float64]]], k: int) -> Top:
    """The strongest of influences that come in blocks of training samples.

    Parameters
    ----------
    blocks : iterable of (slice, array)
        As `gexcore.Influence.influence_blocks` gives them.
    k : int
    """
    best: Found | None = None
    worst: Found | None = None
    for part, block in blocks:
        positions = np.broadcast_to(np.arange(part.start, part.stop), block.shape)
        best = _merge_largest(best, positions, block, k)
        worst = _merge_largest(worst, positions, -block, k)
    assert best is not None
    assert worst is not None
    return Top(best[0], best[1], worst[0], -worst[1])


def _merge_largest(found: Found | None, positions: NDArray[np.intp], values: NDArray[np.float64], k: int) -> Found:
    if found is not None:
        positions = np.concatenate([found[0], positions], axis=1)
        values = np.concatenate([found[1], values], axis=1)
    if values.shape[1] > k:
        part = np.argpartition(-values, k - 1, axis=1)[:, :k]
        positions, values = np.take_along_axis(positions, part, 1), np.take_along_axis(values, part, 1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(positions, order, 1), np.take_along_axis(values, order, 1)
