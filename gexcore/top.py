"""The samples of strongest influence, found block by block."""

from __future__ import annotations

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


def merge_largest(
    found: tuple[NDArray[np.intp], NDArray[np.float64]] | None,
    positions: NDArray[np.intp],
    values: NDArray[np.float64],
    k: int,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The `k` largest values of each row and their positions, largest first, of those found and new ones."""
    if found is not None:
        positions = np.concatenate([found[0], positions], axis=1)
        values = np.concatenate([found[1], values], axis=1)
    if values.shape[1] > k:
        part = np.argpartition(-values, k - 1, axis=1)[:, :k]
        positions, values = np.take_along_axis(positions, part, 1), np.take_along_axis(values, part, 1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(positions, order, 1), np.take_along_axis(values, order, 1)
