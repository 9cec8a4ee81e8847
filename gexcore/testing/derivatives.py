"""Laws of directional derivatives and Hessian products."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.protocols import SupportsHvp, SupportsJvp, SupportsParams
from gexcore.testing._hypothesis import SEEDS, law
from gexcore.testing.checks import require
from gexcore.testing.compare import assert_close, numbers
from gexcore.testing.problems import Problem

Vector = NDArray[np.float64]


def directions(like: Vector, seed: int) -> tuple[Vector, Vector]:
    """Two random unit vectors of this size."""
    drawn = np.random.default_rng(seed).normal(size=(2, like.size))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn[0], drawn[1]


def difference(problem: Problem) -> tuple[float, float]:
    """Half width of a central difference along a unit vector, and its tolerance."""
    return (1e-6, 1e-6) if problem.precision == "float64" else (1e-2, 2e-2)


def check_jvp(problem: Problem) -> None:
    """One derivative per sample, linear in the direction and equal to a central difference."""
    require(problem, SupportsJvp, SupportsParams)
    backend: Any = problem.backend
    batch = problem.everything()
    state = problem.walk(backend.initial_state(), 2)
    before = problem.observe(state)
    here = numbers(backend.ravel(state))
    h, tolerance = difference(problem)

    @law(seed=SEEDS)
    def holds(seed: int) -> None:
        u, v = directions(here, seed)
        along_u, along_v = (numbers(backend.jvp(state, t, batch)) for t in (u, v))
        assert along_u.shape == (len(problem.dataset),)
        assert_close(
            backend.jvp(state, 2 * u - 3 * v, batch), 2 * along_u - 3 * along_v, problem.tolerance
        )
        up, down = (
            numbers(backend.forward(backend.unravel(state, here + s * u), batch)) for s in (h, -h)
        )
        assert_close(along_u, (up - down) / (2 * h), tolerance, floor=0.05)

    holds()
    problem.assert_seen(state, before)


def check_jvp_samples_apart(problem: Problem) -> None:
    """A sample's derivative does not depend on the rest of its batch."""
    require(problem, SupportsJvp, SupportsParams)
    backend: Any = problem.backend
    state = problem.walk(backend.initial_state(), 2)
    tangent, _ = directions(numbers(backend.ravel(state)), 0)
    whole = numbers(backend.jvp(state, tangent, problem.everything()))
    assert_close(
        backend.jvp(state, tangent, problem.batch()), whole[: problem.batch_size], problem.tolerance
    )


def check_hvp(problem: Problem) -> None:
    """Symmetric, linear, and equal to a central difference of the mean directional derivative."""
    require(problem, SupportsHvp, SupportsJvp, SupportsParams)
    backend: Any = problem.backend
    batch = problem.everything()
    state = problem.walk(backend.initial_state(), 2)
    before = problem.observe(state)
    here = numbers(backend.ravel(state))
    h, tolerance = difference(problem)

    @law(seed=SEEDS)
    def holds(seed: int) -> None:
        u, v = directions(here, seed)
        hu, hv = (numbers(backend.hvp(state, t, batch)) for t in (u, v))
        assert hu.shape == here.shape
        assert_close(v @ hu, u @ hv, problem.tolerance)
        assert_close(backend.hvp(state, 2 * u - 3 * v, batch), 2 * hu - 3 * hv, problem.tolerance)
        up, down = (
            numbers(backend.jvp(backend.unravel(state, here + s * v), u, batch)).mean()
            for s in (h, -h)
        )
        assert_close(u @ hv, (up - down) / (2 * h), tolerance, floor=0.05)

    holds()
    problem.assert_seen(state, before)


LAWS = (check_jvp, check_jvp_samples_apart, check_hvp)
