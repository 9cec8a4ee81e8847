"""Props 4.2 and B.4: what is singular at a minimum of zero loss, and what is not elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gexcore.errors import InvalidSettingError, MissingCapabilityError
from gexcore.theory import curvature
from gexcore_numpy import MLP, NumpyBackend


def problem(samples, width, outputs, seed):
    rng = np.random.default_rng(seed)
    model = MLP.init((3, width, outputs), seed=seed, activation="tanh")
    return model, rng.normal(size=(samples, 3)), rng


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 30), st.integers(1, 5), st.integers(2, 3), st.integers(0, 99))
def test_fisher_has_at_most_one_dimension_for_each_sample(samples, width, outputs, seed):
    model, x, rng = problem(samples, width, outputs, seed)
    found = curvature(model, (x, rng.integers(0, outputs, samples)))
    assert found.fisher_rank <= min(samples, found.parameters)
    written = found.gradients.T @ found.gradients / samples
    assert np.linalg.eigvalsh(written)[::-1] == pytest.approx(found.fisher, abs=1e-10)


def test_fisher_of_equal_samples_has_rank_one():
    model, x, _ = problem(1, 4, 2, 0)
    assert curvature(model, (np.repeat(x, 9, axis=0), np.zeros(9, int))).fisher_rank == 1


@pytest.mark.parametrize("seed", range(3))
def test_hessian_is_singular_at_zero_squared_error_and_sees_no_gradient_of_its_samples(seed):
    model, x, rng = problem(4, 9, 2, seed)
    backend = NumpyBackend(model, loss="squared_error")
    state = backend.initial_state()
    fitted = curvature(model, (x, outputs(model, x)), loss="squared_error")
    assert fitted.hessian_rank == 4 * 2 < fitted.parameters
    assert fitted.negative == 0
    assert fitted.fisher_rank == 0
    assert np.isnan(fitted.in_null_space())
    # Eq. 14 by its second factor: gradients for whatever other targets are combinations of the same
    # Jacobians
    other = backend.sample_gradients(state, (x, rng.normal(size=(4, 2))))
    null = fitted.hessian_vectors[:, fitted.hessian_rank :]
    assert np.abs(other @ null).max() < 1e-8 * np.abs(other).max()


def test_away_from_zero_loss_the_hessian_has_its_second_term():
    model, x, rng = problem(4, 9, 2, 0)
    found = curvature(model, (x, 3 + rng.normal(size=(4, 2))), loss="squared_error")
    assert found.hessian_rank > 4 * 2
    assert found.negative > 0


def test_hessian_is_the_derivative_of_gradients():
    model, x, rng = problem(6, 3, 2, 1)
    data = x, rng.integers(0, 2, 6)
    found = curvature(model, data)
    backend = NumpyBackend(model)
    state = backend.initial_state()
    theta, h = backend.ravel(state), 1e-5
    ahead, behind = (
        np.stack(
            [
                backend.sample_gradients(backend.unravel(state, theta + s * h * e), data).mean(
                    axis=0
                )
                for e in np.eye(len(theta))
            ]
        )
        for s in (1, -1)
    )
    written = (found.hessian_vectors * found.hessian) @ found.hessian_vectors.T
    assert written == pytest.approx((ahead - behind) / (2 * h), abs=1e-8)


def test_overlap_is_one_within_and_that_of_chance_between_strangers():
    model, x, rng = problem(5, 6, 2, 2)
    found = curvature(model, (x, rng.integers(0, 2, 5)), tolerance=0.0)
    assert found.overlap() == pytest.approx(1.0)
    assert found.in_null_space() == pytest.approx(0.0)
    turned = np.linalg.qr(rng.normal(size=(found.parameters, found.parameters)))[0]
    half = np.where(np.arange(found.parameters) < found.parameters // 2, found.hessian, 0.0)
    stranger = type(found)(half, turned, found.gradients, 1e-12)
    assert stranger.overlap() == pytest.approx(0.5, abs=0.2)
    assert stranger.in_null_space() == pytest.approx(0.5, abs=0.25)


def test_precision_of_the_model_sets_the_tolerance():
    _, x, rng = problem(4, 9, 2, 0)
    y = rng.integers(0, 2, 4)
    single = curvature(MLP.init((3, 9, 2), seed=0, dtype=np.float32), (x.astype(np.float32), y))
    assert single.tolerance == pytest.approx(56 * 2.0**-23)
    assert single.fisher_rank == 4


def test_refusals():
    _, x, _ = problem(4, 9, 2, 0)
    with pytest.raises(InvalidSettingError, match=r"5,000 is held; choose some with parameters="):
        curvature(MLP.init((3, 1000, 2), seed=0), (x, np.zeros(4, int)))
    chosen = curvature(MLP.init((3, 1000, 2), seed=0), (x, np.zeros(4, int)), parameters="bias1")
    assert chosen.parameters == 2
    from sklearn.linear_model import SGDClassifier

    labels = np.array([0, 1, 0, 1])
    with pytest.raises(MissingCapabilityError, match="curvature"):
        curvature(SGDClassifier(loss="log_loss").fit(x, labels), (x, labels))


def outputs(model, x):
    """Of the network, written out."""
    return np.tanh(x @ model.weights[0] + model.biases[0]) @ model.weights[1] + model.biases[1]
