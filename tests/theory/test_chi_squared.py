"""The generalised χ² distribution against SciPy's special cases, sums of Gammas, and draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.theory import GeneralizedChiSquared, dip, unimodality

SHARES = np.array([1e-6, 0.01, 0.3, 0.5, 0.9, 0.999, 1 - 1e-9])


@pytest.mark.parametrize("terms", [1, 2, 10, 1000])
def test_equal_weights_are_chi_squared(terms):
    reference = stats.chi2(terms, scale=2.5)
    found, x = GeneralizedChiSquared(np.full(terms, 2.5)), reference.ppf(SHARES)
    assert found.cdf(x) == pytest.approx(SHARES, abs=1e-10)
    assert found.pdf(x) == pytest.approx(reference.pdf(x), rel=1e-8)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 12), st.floats(0.01, 300.0), st.floats(1e-4, 0.9999))
def test_one_offset_is_non_central_chi_squared(terms, noncentrality, share):
    reference = stats.ncx2(terms, noncentrality)
    x = reference.ppf(share)
    found = GeneralizedChiSquared(np.ones(terms), np.sqrt(noncentrality) * np.eye(terms)[0])
    assert float(found.cdf(x)) == pytest.approx(reference.cdf(x), abs=1e-9)
    assert float(found.pdf(x)) == pytest.approx(reference.pdf(x), rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 100.0), st.floats(0.01, 0.9), st.floats(0.01, 10.0))
def test_pairs_of_weights_are_a_sum_of_exponentials(weight, ratio, place):
    slow, fast = 2 * weight, 2 * weight * ratio
    x = place * (slow + fast)
    expected = 1 - (slow * np.exp(-x / slow) - fast * np.exp(-x / fast)) / (slow - fast)
    found = GeneralizedChiSquared([weight, weight, weight * ratio, weight * ratio])
    assert float(found.cdf(x)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_moments_and_distribution_are_those_of_draws(seed):
    rng = np.random.default_rng(seed)
    found = GeneralizedChiSquared(np.exp(rng.normal(0, 2, 15)), rng.normal(0, seed, 15))
    drawn = found.sample(100_000, seed=seed)
    assert drawn.mean() == pytest.approx(found.mean, rel=0.03)
    assert drawn.var() == pytest.approx(found.variance, rel=0.1)
    assert stats.skew(drawn) == pytest.approx(found.skewness, rel=0.2)
    tenths = np.linspace(0.1, 0.9, 9)
    places = np.quantile(drawn, tenths)
    assert found.cdf(places) == pytest.approx(tenths, abs=0.008)
    wrong = GeneralizedChiSquared(found.weights * 1.1, found.offsets)
    assert np.abs(wrong.cdf(places) - tenths).max() > 0.008


@pytest.mark.parametrize("singular", [False, True])
def test_quadratic_forms_of_normal_vectors(singular):
    rng = np.random.default_rng(4)
    root, half = rng.normal(size=(5, 3 if singular else 5)), rng.normal(size=(4, 5))
    mean = root @ rng.normal(size=root.shape[1])
    matrix = half.T @ half
    found = GeneralizedChiSquared.from_gaussian(root @ root.T, matrix, mean)
    assert found.mean == pytest.approx(np.trace(matrix @ root @ root.T) + mean @ matrix @ mean)
    assert len(found.weights) == (3 if singular else 4)
    g = mean + rng.normal(size=(40_000, root.shape[1])) @ root.T
    forms = np.einsum("np,pq,nq->n", g, matrix, g)
    tenths = np.linspace(0.1, 0.9, 9)
    assert found.cdf(np.quantile(forms, tenths)) == pytest.approx(tenths, abs=0.01)


def test_one_mode_without_offsets_and_two_with_a_large_one():
    """Prop. 3.1 needs gradients of mean zero."""
    x = np.linspace(0.05, 30, 100)
    central = GeneralizedChiSquared([1.0, 0.5, 3.0]).pdf(x)
    assert (np.diff(np.sign(np.diff(central))) > 0).sum() == 0
    shifted = GeneralizedChiSquared([1.0], [3.0]).pdf(x)
    assert (np.diff(np.sign(np.diff(shifted))) > 0).sum() == 1
    drawn = GeneralizedChiSquared([1.0, 0.5]).sample(300)
    assert unimodality(drawn, draws=29).p_value > 0.5
    assert dip(drawn) < 0.05


def test_outside_the_support():
    found = GeneralizedChiSquared([1.0, 2.0])
    assert found.cdf([-1.0, 0.0, np.inf]).tolist() == [0.0, 0.0, 1.0]
    assert found.pdf([-1.0, 0.0, np.inf]).tolist() == [0.0, 0.0, 0.0]


def test_refusals():
    for weights in ([], [1.0, 0.0], [1.0, -1.0], [np.inf]):
        with pytest.raises(InvalidSettingError, match="no row of positive numbers"):
            GeneralizedChiSquared(weights)
    with pytest.raises(InvalidSettingError, match="offsets of shape"):
        GeneralizedChiSquared([1.0], [1.0, 2.0])
    with pytest.raises(InvalidDataError, match="positive semi-definite"):
        GeneralizedChiSquared.from_gaussian(np.eye(2), np.diag([1.0, -1.0]))
    with pytest.raises(InvalidDataError, match="outside the range"):
        GeneralizedChiSquared.from_gaussian(np.diag([1.0, 0.0]), np.eye(2), [0.0, 1.0])
    with pytest.raises(InvalidDataError, match="not symmetric"):
        GeneralizedChiSquared.from_gaussian(np.array([[1.0, 1.0], [0.0, 1.0]]), np.eye(2))
