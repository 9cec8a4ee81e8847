"""A tiny network with explicit gradients and Hessian, from derivatives along unit vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from gexcore_numpy import MLP, NumpyBackend

Floats = NDArray[np.float64]
Data = tuple[Floats, NDArray[np.int64]]


@dataclass(frozen=True)
class Written:
    """A model, its training and test data, and their derivatives at θ*."""

    model: MLP
    data: Data
    test: Data
    gradients: Floats
    """Shape (samples, p)."""
    test_gradients: Floats
    hessian: Floats
    """Of the mean training loss, shape (p, p)."""

    @property
    def size(self) -> int:
        """p."""
        return len(self.hessian)

    def inverse(self, damping: float) -> Floats:
        """(H + αI)⁻¹."""
        return np.linalg.inv(self.hessian + damping * np.eye(self.size))

    def influence(self, damping: float, *, test: bool = False) -> Floats:
        """g'ᵀ (H + αI)⁻¹ g."""
        given = self.test_gradients if test else self.gradients
        return np.asarray(given @ self.inverse(damping) @ self.gradients.T)


def gradients_of(model: MLP, data: Data) -> Floats:
    """One JVP for each coordinate, shape (samples, p)."""
    backend = NumpyBackend(model)
    state = backend.initial_state()
    return np.stack(
        [backend.jvp(state, e, data) for e in np.eye(len(backend.ravel(state)))], axis=1
    )


def write(sizes: tuple[int, ...], *, samples: int = 14, seed: int = 5) -> Written:
    """A random network and random samples."""
    rng = np.random.default_rng(seed)
    model = MLP.init(sizes, seed=2, activation="tanh")
    data, test = (
        (rng.normal(size=(n, sizes[0])), rng.integers(0, sizes[-1], n)) for n in (samples, 4)
    )
    backend = NumpyBackend(model)
    state = backend.initial_state()
    hessian = np.stack([backend.hvp(state, e, data) for e in np.eye(len(backend.ravel(state)))])
    return Written(model, data, test, gradients_of(model, data), gradients_of(model, test), hessian)


@pytest.fixture(scope="session")
def written() -> Written:
    """Two layers, at a point with negative curvature."""
    found = write((3, 4, 3))
    assert np.linalg.eigvalsh(found.hessian)[0] < -0.05
    return found


@pytest.fixture(scope="session")
def convex() -> Written:
    """Softmax regression: no negative curvature anywhere."""
    return write((3, 3))
