"""Laws of per-sample gradients and of features."""

from __future__ import annotations

from typing import Any

import numpy as np

from gexcore.backend.capabilities import supports
from gexcore.backend.protocols import (
    SupportsFeatures,
    SupportsJvp,
    SupportsLogits,
    SupportsParams,
    SupportsSampleGradients,
)
from gexcore.testing._hypothesis import SEEDS, law
from gexcore.testing.checks import require
from gexcore.testing.compare import assert_close, numbers
from gexcore.testing.derivatives import difference, directions
from gexcore.testing.problems import Problem


def check_sample_gradients(problem: Problem) -> None:
    """One gradient per sample, equal to the directional derivatives along any direction."""
    require(problem, SupportsSampleGradients, SupportsParams)
    backend: Any = problem.backend
    batch = problem.everything()
    state = problem.walk(backend.initial_state(), 2)
    before = problem.observe(state)
    here = numbers(backend.ravel(state))
    rows = numbers(backend.sample_gradients(state, batch)).copy()
    assert rows.shape == (len(problem.dataset), here.size)
    h, tolerance = difference(problem)

    @law(seed=SEEDS)
    def holds(seed: int) -> None:
        u, _ = directions(here, seed)
        if supports(backend, SupportsJvp):
            assert_close(rows @ u, backend.jvp(state, u, batch), problem.tolerance)
        up, down = (
            numbers(backend.forward(backend.unravel(state, here + s * u), batch)) for s in (h, -h)
        )
        assert_close(rows @ u, (up - down) / (2 * h), tolerance, floor=0.05)

    holds()
    problem.assert_seen(state, before)


def check_sample_gradients_apart(problem: Problem) -> None:
    """A sample's gradient does not depend on the rest of its batch."""
    require(problem, SupportsSampleGradients, SupportsParams)
    backend: Any = problem.backend
    state = problem.walk(backend.initial_state(), 2)
    whole = numbers(backend.sample_gradients(state, problem.everything()))
    for chosen in (np.arange(problem.batch_size)[::-1], np.array([len(problem.dataset) - 1])):
        part = backend.sample_gradients(state, problem.dataset.batch(chosen))
        assert_close(part, whole[chosen], problem.tolerance)


def check_features(problem: Problem) -> None:
    """One finite row per sample; the logits are an affine function of the rows."""
    require(problem, SupportsFeatures)
    backend: Any = problem.backend
    batch = problem.everything()
    state = problem.walk(backend.initial_state(), 2)
    before = problem.observe(state)
    features = numbers(backend.features(state, batch)).copy()
    assert features.ndim == 2
    assert len(features) == len(problem.dataset)
    assert np.isfinite(features).all()
    for chosen in (np.arange(problem.batch_size)[::-1], np.array([len(problem.dataset) - 1])):
        part = backend.features(state, problem.dataset.batch(chosen))
        assert_close(part, features[chosen], problem.tolerance)
    problem.assert_seen(state, before)
    if supports(backend, SupportsLogits):
        scores = numbers(backend.logits(state, batch))
        terms = np.column_stack([features, np.ones(len(features))])
        assert_close(
            terms @ np.linalg.lstsq(terms, scores, rcond=None)[0], scores, 10 * problem.tolerance
        )


LAWS = (check_sample_gradients, check_sample_gradients_apart, check_features)
