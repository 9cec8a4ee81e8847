"""Draws of the Laplace posterior, full and Kronecker-factored, and influence from their losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.backend.data import ArrayDataset
from gexcore.ensembles.kronecker import KroneckerPosterior, kronecker_posterior
from gexcore.errors import AllMembersDivergedError, InvalidModelError, InvalidSettingError
from gexcore_numpy import MLP, NumpyBackend

EXACT = {"rtol": 1e-9, "atol": 1e-11}
QUIET = {"progress": False}


def posterior_of(
    backend: Any, data: Any, *, seed: int | None, batch_size: int = 512
) -> KroneckerPosterior:
    size = len(backend.ravel(backend.initial_state()))
    dataset = ArrayDataset(*data)
    return kronecker_posterior(
        backend, backend.initial_state(), dataset, size=size, batch_size=batch_size, seed=seed
    )


def covariance_of(
    posterior: KroneckerPosterior, *, damping: float, scale: float, draws: int = 6000
) -> Any:
    rng = np.random.default_rng(3)
    moves = np.stack([posterior.draw(rng, damping=damping, scale=scale) for _ in range(draws)])
    return moves.T @ moves / draws


def assert_within_sampling_error(found: Any, wanted: Any, draws: int = 6000) -> None:
    """An entry's standard error is √((C_ii C_jj + C_ij²) / draws)."""
    error = np.sqrt((np.outer(np.diag(wanted), np.diag(wanted)) + wanted**2) / draws)
    z = (found - wanted)[error > 0] / error[error > 0]
    assert np.abs(z).max() < 5
    assert np.sqrt((z**2).mean()) < 1.3
    np.testing.assert_array_equal(found[error == 0], 0)


@pytest.mark.parametrize("seed", [None, 0], ids=["empirical", "true"])
def test_draws_have_the_inverse_of_the_damped_factors_as_their_covariance(
    written: Any, seed: int | None
) -> None:
    backend = NumpyBackend(written.model)
    wanted = np.zeros((written.size, written.size))
    for block in backend.kronecker(backend.initial_state(), written.data, seed=_first_seed(seed)):
        rows = block.positions.ravel()
        fisher = np.kron(block.outputs, block.inputs)
        wanted[np.ix_(rows, rows)] = 0.25 * np.linalg.inv(fisher + 0.1 * np.eye(len(rows)))
    found = covariance_of(posterior_of(backend, written.data, seed=seed), damping=0.1, scale=0.5)
    assert_within_sampling_error(found, wanted)


def _first_seed(seed: int | None) -> int | None:
    return None if seed is None else int(np.random.default_rng([seed, 0xFA]).integers(2**32))


def test_one_linear_layer_and_one_sample_are_exact(convex: Any) -> None:
    backend = NumpyBackend(convex.model)
    one = (convex.data[0][:1], convex.data[1][:1])
    gradient = convex.gradients[0]
    wanted = np.linalg.inv(np.outer(gradient, gradient) + 0.2 * np.eye(convex.size))
    found = covariance_of(posterior_of(backend, one, seed=None), damping=0.2, scale=1.0)
    assert_within_sampling_error(found, wanted)


@pytest.mark.parametrize("paired", [True, False], ids=["independent", "dependent"])
def test_one_linear_layer_is_exact_where_gaussian_inputs_and_signals_are_independent(
    paired: bool,
) -> None:
    rng = np.random.default_rng(4)
    inputs, noise = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    if paired:  # every input with every signal: independent to the last digit
        inputs, noise = np.repeat(inputs, 40, axis=0), np.tile(noise, (40, 1))
    model = MLP([rng.normal(size=(3, 2))], [rng.normal(size=2)])
    data = inputs, inputs @ model.weights[0] + model.biases[0] + noise
    backend = NumpyBackend(model, loss="squared_error")
    state = backend.initial_state()
    gradients = backend.sample_gradients(state, data)
    fisher = gradients.T @ gradients / len(gradients)
    (block,) = backend.kronecker(state, data, seed=None)
    rows = block.positions.ravel()
    error = (
        np.abs(np.kron(block.outputs, block.inputs) - fisher[np.ix_(rows, rows)]).max()
        / np.abs(fisher).max()
    )
    assert (error < 1e-12) == paired
    assert paired or error > 0.01
    if paired:
        wanted = np.linalg.inv(fisher + 0.2 * np.eye(len(fisher)))
        assert_within_sampling_error(
            covariance_of(posterior_of(backend, data, seed=None), damping=0.2, scale=1.0), wanted
        )


def test_factors_are_means_over_samples_however_they_are_batched(written: Any) -> None:
    backend = NumpyBackend(written.model)
    whole, parts = (
        posterior_of(backend, written.data, seed=None, batch_size=size) for size in (99, 4)
    )
    for one, other in zip(whole.layers, parts.layers, strict=True):
        np.testing.assert_allclose(one.input_values, other.input_values, **EXACT)
        np.testing.assert_allclose(one.output_values, other.output_values, **EXACT)
    assert whole.parameters == written.size


def test_parameters_outside_linear_layers_stay(written: Any) -> None:
    backend = NumpyBackend(MLP.init((3, 4, 3), seed=2, batch_norm=True))
    posterior = posterior_of(backend, written.data, seed=0)
    move = posterior.draw(np.random.default_rng(0), damping=0.1, scale=1.0)
    names = backend.parameter_names()
    parts = dict(zip(names, np.split(move, np.cumsum(list(names.values()))[:-1]), strict=True))
    moved = {name for name, part in parts.items() if part.any()}
    assert moved == {"weight0", "bias0", "weight1", "bias1"}
    assert posterior.parameters == sum(names[name] for name in moved)


@pytest.mark.parametrize("damping", [0.1, 0.4])
def test_near_the_model_full_draws_give_the_influence_function(convex: Any, damping: float) -> None:
    method = gx.Laplace(structure="full", damping=damping, scale=1e-4, samples=3000)
    found = method.fit(convex.model, convex.data, test=convex.test, **QUIET)
    exact = 1e-8 * np.diag(convex.influence(damping))
    z = (found.self_influence() - exact) / found.standard_error(of="self_influence")
    assert np.abs(z).max() < 4.5
    wanted = 1e-8 * convex.influence(damping, test=True)
    np.testing.assert_allclose(found.influence(), wanted, atol=0.12 * np.abs(wanted).max())
    assert isinstance(found, gx.LossInfluence)


def test_a_rank_keeps_the_draws_within_the_top_eigenvectors(convex: Any) -> None:
    method = gx.Laplace(structure="full", rank=2, scale=1e-5, samples=8, keep=8)
    found = method.fit(convex.model, convex.data, **QUIET)
    backend = found.members.backend
    moves = np.stack([backend.ravel(s) for s in found.members.states]) - backend.ravel(
        backend.initial_state()
    )
    values, vectors = np.linalg.eigh(convex.hessian)
    outside = moves @ np.delete(vectors, np.argsort(-np.abs(values))[:2], axis=1)
    assert np.abs(outside).max() < 1e-6 * np.abs(moves).max()


def test_a_fit_keeps_what_later_questions_need(written: Any) -> None:
    found = gx.Laplace(samples=6, keep=3, scale=0.1).fit(
        written.model, written.data, test=written.test, **QUIET
    )
    assert found.losses.shape == (6, 14)
    np.testing.assert_allclose(found.influence(written.test), _product(found, written.test))
    assert found.influence().shape == (4, 14)
    assert found.suspicion().shape == found.suggested_labels().shape == (14,)
    assert "Laplace: 14 samples × 6 members" in repr(found)
    assert found.run.chosen == {"parameters": written.size, "diverged": 0}
    same = gx.Laplace(samples=6, keep=3, scale=0.1).fit(written.model, written.data, **QUIET)
    np.testing.assert_array_equal(found.losses, same.losses)


def _product(found: gx.LossInfluence, test: Any) -> Any:
    tests = found.members.evaluate(test)
    return (tests.losses - tests.base_losses).T @ (found.losses - found.base_losses)[:3] / 3


def test_statistics_follow_each_draw(written: Any) -> None:
    model = MLP.init((3, 4, 3), seed=2, batch_norm=True)
    found = gx.Laplace(samples=3, scale=0.1).fit(model, written.data, **QUIET)
    members = found.members
    assert members.refresh.active
    for row, state in zip(found.losses, members.states, strict=True):
        np.testing.assert_array_equal(
            members.backend.forward(members.refresh(state), written.data), row
        )


def test_draws_that_diverge_are_left_out_and_counted(written: Any) -> None:
    class Fragile(NumpyBackend):
        calls = 0

        def unravel(self, state: Any, flat: Any, /) -> Any:
            self.calls += 1
            return super().unravel(state, flat * (np.nan if self.calls % 3 == 0 else 1.0))

    found = gx.Laplace(samples=7, keep=9).fit(Fragile(written.model), written.data, **QUIET)
    assert (len(found.table), len(found.members.states)) == (5, 5)
    assert found.run.chosen["diverged"] == 2
    with pytest.raises(
        AllMembersDivergedError,
        match="all 2 draws have non-finite losses; lower scale, or raise damp",
    ):
        gx.Laplace(samples=2, scale=1e300).fit(written.model, written.data, **QUIET)


def test_a_posterior_without_positive_curvature_is_refused(written: Any) -> None:
    lowest = np.linalg.eigvalsh(written.hessian)[0]
    with pytest.raises(
        InvalidSettingError, match=f"raise damping above {-lowest:.3g}, or lower rank"
    ):
        gx.Laplace(structure="full", damping=0.01).fit(written.model, written.data, **QUIET)


def test_a_model_without_layers_is_refused(written: Any) -> None:
    class Blank(NumpyBackend):
        def kronecker(self, state: Any, batch: Any, /, *, seed: int | None) -> Any:
            return []

    with pytest.raises(InvalidModelError, match="no trainable linear or convolutional layer"):
        gx.Laplace().fit(Blank(written.model), written.data, **QUIET)
