"""Closeness of arrays from any framework."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.data import to_numpy
from gexcore.backend.protocols import Array


def numbers(array: Array) -> NDArray[np.float64]:
    """An array of any framework, as NumPy in float64."""
    return to_numpy(array).astype(np.float64)


def assert_close(actual: Array, expected: Array, tolerance: float, *, floor: float = 1.0) -> None:
    """Fail unless shapes agree, and entries up to `tolerance` times the largest expected one.

    Parameters
    ----------
    actual, expected : array
    tolerance : float
    floor : float
        The least size that the largest entry counts as.
    """
    got, want = numbers(actual), numbers(expected)
    assert got.shape == want.shape, f"shape {got.shape} instead of {want.shape}"
    if not want.size:
        return
    scale = max(float(np.abs(want).max()), floor)
    error = float(np.abs(got - want).max()) / scale
    # in this form NaN fails
    assert error <= tolerance, (
        f"differs by {error:.3g} of {scale:.3g}, more than {tolerance:g}:\n{got}\ninstead "
        f"of\n{want}"
    )
