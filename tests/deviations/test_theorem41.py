"""Theorem 4.1: under the Laplace posterior the mean product of linear deviations is the influence
function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from gexcore.deviations.equation import cross_influence
from gexcore.deviations.uncertainty import jackknife
from gexcore_numpy import MLP, NumpyBackend

Floats = NDArray[np.float64]

N = 9
DRAWS = 300
REPEATS = 8


@dataclass(frozen=True)
class Posterior:
    """N(θ*, (H + αI)⁻¹) of a tiny network, by its eigenvalues and eigenvectors."""

    backend: NumpyBackend
    batch: tuple[Floats, NDArray[np.int64]]
    values: Floats
    vectors: Floats
    influence: Floats
    """g_zᵀ (H + αI)⁻¹ g_z', shape (N, N)."""

    def linear_deviations(self, moves: Floats) -> Floats:
        """One row for each ψ − θ*."""
        state = self.backend.initial_state()
        return np.stack([self.backend.jvp(state, move, self.batch) for move in moves])

    def draw(self, count: int, rng: np.random.Generator) -> Floats:
        """ψ − θ* of independent draws, shape (count, p)."""
        return (rng.normal(size=(count, len(self.values))) * self.values**-0.5) @ self.vectors.T


@pytest.fixture(params=["regression", "mlp", "batch_norm"])
def posterior(request: pytest.FixtureRequest) -> Posterior:
    rng = np.random.default_rng(5)
    sizes = (3, 3) if request.param == "regression" else (3, 4, 3)
    model = MLP.init(sizes, seed=2, activation="tanh", batch_norm=request.param == "batch_norm")
    backend = NumpyBackend(model)
    batch = (rng.normal(size=(N, 3)), rng.integers(0, 3, N))
    state = backend.initial_state()
    basis = np.eye(len(backend.ravel(state)))
    hessian = np.stack([backend.hvp(state, e, batch) for e in basis])
    gradients = np.stack([backend.jvp(state, e, batch) for e in basis], axis=1)
    damping = 0.3 + max(0.0, -float(np.linalg.eigvalsh(hessian)[0]))
    damped = hessian + damping * np.eye(len(hessian))
    values, vectors = np.linalg.eigh(damped)
    influence = gradients @ np.linalg.solve(damped, gradients.T)
    return Posterior(backend, batch, values, vectors, influence)


def test_sigma_points_give_the_damped_influence_function_exactly(posterior: Posterior) -> None:
    points = np.sqrt(len(posterior.values)) * (posterior.vectors * posterior.values**-0.5).T
    dev = posterior.linear_deviations(np.concatenate([points, -points]))
    error = np.abs(cross_influence(dev, dev) - posterior.influence).max()
    assert error < 1e-10 * np.abs(posterior.influence).max()


def test_draws_converge_within_their_standard_error(posterior: Posterior) -> None:
    z = deviations_in_standard_errors(posterior, spread=1.0)
    assert np.mean(np.abs(z) < 4) > 0.995
    assert np.sqrt(np.mean(z**2)) == pytest.approx(1.0, abs=0.25)


def test_draws_from_another_posterior_do_not(posterior: Posterior) -> None:
    assert np.sqrt(np.mean(deviations_in_standard_errors(posterior, spread=1.3) ** 2)) > 2


def deviations_in_standard_errors(posterior: Posterior, *, spread: float) -> Floats:
    """(estimate − exact) ÷ jackknife standard error, for several independent ensembles and all
    pairs."""
    found = []
    for repeat in range(REPEATS):
        dev = posterior.linear_deviations(
            spread * posterior.draw(DRAWS, np.random.default_rng([41, repeat]))
        )
        products = (np.outer(row, row).ravel() for row in dev)
        error = jackknife(products, np.arange(DRAWS), N * N)
        found.append((cross_influence(dev, dev) - posterior.influence).ravel() / error)
    return np.concatenate(found)
