"""Hypothesis strategies for losses, scores, labels and positions."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gexcore.testing._hypothesis import hnp, st

Span = tuple[int, int]
"""Smallest and largest number, both included."""


def loss_tables(
    *,
    members: Span = (1, 6),
    samples: Span = (2, 12),
    largest: float = 20.0,
    dtype: DTypeLike = np.float64,
) -> st.SearchStrategy[NDArray[Any]]:
    """Losses of shape (members, samples): finite, not negative, often tied or zero."""
    shapes = st.tuples(st.integers(*members), st.integers(*samples))
    return hnp.arrays(dtype, shapes, elements=_numbers(0.0, largest, dtype))


def scores(
    *, samples: Span = (2, 40), smallest: float = 0.0, largest: float = 20.0
) -> st.SearchStrategy[NDArray[np.float64]]:
    """Scores of shape (samples,), finite."""
    return hnp.arrays(
        np.float64, st.integers(*samples), elements=_numbers(smallest, largest, np.float64)
    )


def labels(samples: int, classes: int) -> st.SearchStrategy[NDArray[np.int64]]:
    """Labels of shape (samples,) in 0 … classes − 1; classes may be absent."""
    return hnp.arrays(np.int64, samples, elements=st.integers(0, classes - 1))


def positions(n: int, sizes: tuple[int, ...]) -> st.SearchStrategy[NDArray[np.intp]]:
    """Distinct positions below n in any order, as many as one of `sizes`."""
    orders = st.permutations(range(n))
    return st.builds(
        lambda order, size: np.array(order[:size], np.intp), orders, st.sampled_from(sizes)
    )


def _numbers(smallest: float, largest: float, dtype: DTypeLike) -> st.SearchStrategy[float]:
    width: Literal[32, 64] = 32 if np.dtype(dtype) == np.float32 else 64
    # some frameworks flush subnormals, so libraries may differ on them
    return st.floats(smallest, largest, width=width, allow_subnormal=False)
