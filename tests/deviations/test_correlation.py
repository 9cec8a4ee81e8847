"""Correlation of numbers that come in blocks, against that of all of them at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gexcore.decisions.metrics import correlation
from gexcore.deviations.correlation import Correlation

laws = settings(derandomize=True, database=None, deadline=None, max_examples=40)


def in_blocks(one: np.ndarray, other: np.ndarray, size: int) -> float:
    found = Correlation()
    for start in range(0, len(one), size):
        found = found.update(one[start : start + size], other[start : start + size])
    return found.correlation()


@laws
@given(
    seed=st.integers(0, 10**6),
    size=st.integers(1, 60),
    offset=st.sampled_from([0.0, 1e6, -1e3]),
    outlier=st.sampled_from([0.0, 1e4]),
)
def test_it_is_pearsons(seed: int, size: int, offset: float, outlier: float) -> None:
    one, other = np.random.default_rng(seed).normal(size=(2, 50))
    other += one
    one[0] += outlier  # the first one is what all are less
    assert in_blocks(one + offset, other + offset, size) == pytest.approx(
        correlation(one, other), abs=1e-9
    )


def test_sums_of_squares_alone_would_not_do() -> None:
    """The control: far from zero, their difference is all rounding."""
    one, other = np.random.default_rng(0).normal(size=(2, 50)) + 1e8
    products = [
        [float(np.sum(a * b)) - a.sum() * b.sum() / 50 for a in (one, other)] for b in (one, other)
    ]
    naive = products[0][1] / np.sqrt(abs(products[0][0] * products[1][1]))
    assert not abs(naive - correlation(one, other)) < 1e-3
    assert in_blocks(one, other, 7) == pytest.approx(correlation(one, other), abs=1e-6)


@laws
@given(value=st.floats(-1e6, 1e6), count=st.integers(0, 20), size=st.integers(1, 20))
def test_of_equal_numbers_it_is_unknown(value: float, count: int, size: int) -> None:
    assert np.isnan(in_blocks(np.full(count, value), np.arange(count, dtype=float), size))
