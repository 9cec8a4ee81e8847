"""Normality measures against SciPy's, projections against gradients, and what must not pass for
normal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gexcore.backend.protocols import SupportsParams
from gexcore.errors import InvalidDataError, MissingCapabilityError
from gexcore.theory import normality, projected_gradients
from gexcore_numpy import MLP, NumpyBackend


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(5, 200),
    st.sampled_from(["normal", "standard_cauchy", "exponential"]),
)
def test_measures_are_those_of_scipy(seed, n, kind):
    x = getattr(np.random.default_rng(seed), kind)(size=n)
    found = normality(x)
    fitted = stats.norm(x.mean(), x.std(ddof=1))
    assert found.distance == pytest.approx(stats.kstest(x, fitted.cdf).statistic, abs=1e-9)
    assert found.skewness == pytest.approx(stats.skew(x), rel=1e-7, abs=1e-9)
    assert found.excess_kurtosis == pytest.approx(stats.kurtosis(x), rel=1e-7, abs=1e-9)


def test_normal_samples_are_as_near_as_the_docstring_says_and_others_are_not():
    rng, n = np.random.default_rng(0), 400
    normal = np.array([normality(rng.normal(3, 2, n)).distance for _ in range(400)]) * np.sqrt(n)
    assert 0.5 < np.median(normal) < 0.7
    assert 0.03 < (normal > 0.9).mean() < 0.08
    assert normality(rng.standard_t(2, n)).distance * np.sqrt(n) > 1.5
    assert normality(rng.standard_t(2, n)).excess_kurtosis > 3


def test_projections_are_gradients_along_unit_vectors():
    rng = np.random.default_rng(1)
    data = rng.normal(size=(20, 3)), rng.integers(0, 2, 20)
    model = MLP.init((3, 7, 2), seed=0)
    backend = NumpyBackend(model)
    gradients = backend.sample_gradients(backend.initial_state(), data)
    rows = projected_gradients(model, data, directions=4000, seed=5)
    # for d uniform on the sphere E (g·d)² = ‖g‖²/p
    assert (rows**2).mean(axis=0) == pytest.approx(
        (gradients**2).sum(axis=1) / gradients.shape[1], rel=0.15
    )
    assert np.abs(rows).max() <= np.linalg.norm(gradients, axis=1).max()


def test_at_a_minimum_the_mean_is_zero_and_elsewhere_it_is_not():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(60, 2)), rng.integers(0, 2, 60)
    backend = NumpyBackend(MLP.init((2, 2), seed=0))
    state = backend.initial_state()
    start = projected_gradients(backend.to_model(state), (x, y)).mean(axis=1)
    for _ in range(1000):
        state = backend.sgd_step(state, (x, y), lr=0.3, seed=0)
    end = projected_gradients(backend.to_model(state), (x, y)).mean(axis=1)
    assert np.abs(end).max() < 1e-6 < 1e-3 < np.abs(start).max()


def test_refusals():
    for values in ([1.0, 2.0], [1.0, 1.0, 1.0]):
        with pytest.raises(InvalidDataError, match="have no shape"):
            normality(values)
    x, y = np.random.default_rng(0).normal(size=(30, 2)), np.repeat([0, 1], 15)
    backend = NumpyBackend(MLP.init((2, 2), seed=0))
    backend.unsupported |= {SupportsParams}
    with pytest.raises(MissingCapabilityError, match="projected_gradients"):
        projected_gradients(backend, (x, y))
