"""The dip against a linear programme written from its definition; its p-value against what it must
and must not reject."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from gexcore.errors import InvalidDataError
from gexcore.theory import dip, unimodality

values = st.lists(st.integers(-30, 30).map(lambda i: i / 4), min_size=2, max_size=9)


def nearest_unimodal(x):
    """The least distance of a distribution function with one mode, over every place of the mode."""
    points, counts = np.unique(x, return_counts=True)
    k = len(points)
    above = np.cumsum(counts) / len(x)
    below = np.append(0.0, above[:-1])
    best = 1.0
    for mode in range(k):
        rows, bounds = [], []

        def at_most(bound, *terms, rows=rows, bounds=bounds):
            row = np.zeros(
                k + 2
            )  # the values left of the mode and from it on, that at the mode itself, the distance
            for place, factor in terms:
                row[place] += factor
            rows.append(row)
            bounds.append(bound)

        for i in range(k):
            upper, lower = (below[i], below[i]) if i == mode else (below[i], above[i])
            at_most(upper, (i, 1), (k + 1, -1))
            at_most(-lower, (i, -1), (k + 1, -1))
        at_most(above[mode], (k, 1), (k + 1, -1))
        at_most(-above[mode], (k, -1), (k + 1, -1))
        at_most(0, (mode, 1), (k, -1))
        left = (list(range(mode + 1)), points[: mode + 1], 1)
        right = ([k, *range(mode + 1, k)], points[mode:], -1)
        for places, where, convex in (left, right):
            for a, b in pairwise(places):
                at_most(0, (a, 1), (b, -1))
            for i in range(len(places) - 2):
                first, second = where[i + 1] - where[i], where[i + 2] - where[i + 1]
                a, b, c = places[i : i + 3]
                at_most(
                    0,
                    (a, -convex / first),
                    (b, convex / first + convex / second),
                    (c, -convex / second),
                )
        found = linprog(
            np.eye(k + 2)[-1], np.array(rows), bounds, bounds=[(0, 1)] * (k + 1) + [(0, None)]
        )
        assert found.status == 0
        best = min(best, found.fun)
    return best


@settings(max_examples=15, deadline=None)
@given(values)
def test_dip_is_the_distance_to_the_nearest_distribution_of_one_mode(x):
    if len(set(x)) > 1:
        assert dip(x) == pytest.approx(nearest_unimodal(x), abs=1e-7)


def test_the_reference_tells_distributions_apart():
    assert (
        nearest_unimodal([0.0, 0.1, 0.2, 5.0, 5.1, 5.2])
        > nearest_unimodal([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]) + 0.1
    )


@given(values, st.integers(1, 5), st.integers(-9, 9))
def test_dip_does_not_know_scale_shift_or_direction(x, scale, shift):
    moved = -scale * np.array(x) + shift
    assert dip(moved) == pytest.approx(dip(x), abs=1e-12)


def test_known_values():
    assert dip(np.arange(20.0)) == pytest.approx(1 / 40)
    assert dip([0.0] * 7 + [1.0] * 7) == 0.25
    assert dip([3.0, 3.0, 3.0]) == 0.0


def test_one_mode_is_kept_and_two_are_rejected():
    rng = np.random.default_rng(0)
    one = [unimodality(rng.chisquare(1, 200), draws=19, seed=i).p_value for i in range(10)]
    two = [
        unimodality(np.append(rng.normal(0, 1, 100), rng.normal(5, 1, 100)), draws=99).p_value
        for _ in range(2)
    ]
    assert min(one) > 0.05
    assert max(two) == 0.01


def test_p_values_of_uniform_samples_are_not_too_small():
    rng = np.random.default_rng(1)
    found = np.array([unimodality(rng.random(60), draws=39, seed=i).p_value for i in range(40)])
    assert 0.3 < found.mean() < 0.7
    assert (found <= 0.05).mean() < 0.15


def test_large_samples_are_compared_by_the_limit():
    rng = np.random.default_rng(2)
    assert unimodality(rng.normal(size=4000), draws=29).p_value > 0.2
    assert (
        unimodality(np.append(rng.normal(0, 1, 2000), rng.normal(4, 1, 2000)), draws=29).p_value
        == 1 / 30
    )


def test_ashman_d_of_two_normal_distributions():
    rng = np.random.default_rng(3)
    assert unimodality(
        np.append(rng.normal(0, 1, 4000), rng.normal(6, 1, 4000)), draws=1
    ).ashman_d == pytest.approx(6, rel=0.05)
    assert np.isnan(unimodality(np.zeros(9), draws=1).ashman_d)


def test_refusals():
    with pytest.raises(InvalidDataError, match="no row of finite numbers"):
        dip([0.0, np.nan])
    with pytest.raises(InvalidDataError, match=r"shape \(2, 2\)"):
        unimodality(np.zeros((2, 2)))
