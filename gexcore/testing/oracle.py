"""Equality with the hand-derived NumPy backend, for backends whose model came from a `Toy`.

Flat parameters may have another order. So each backend makes its own directions: the change of its
parameters in one step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import supports
from gexcore.backend.protocols import (
    SupportsBufferRefresh,
    SupportsFeatures,
    SupportsHvp,
    SupportsJvp,
    SupportsKronecker,
    SupportsLogits,
    SupportsParams,
    SupportsSampleGradients,
    SupportsTrainingLosses,
)
from gexcore.ensembles.plan import Cosine
from gexcore.estimators.gex import GEX
from gexcore.estimators.gexlin import GEXLin
from gexcore.testing._hypothesis import pytest
from gexcore.testing.checks import require
from gexcore.testing.compare import assert_close, numbers
from gexcore.testing.problems import Problem


def _oracle(problem: Problem) -> Problem:
    if problem.toy is None:
        pytest.skip("this problem has no oracle")
    return problem.toy.problem(problem.toy.oracle())


def _direction(problem: Problem, batch: int) -> NDArray[np.float64]:
    backend: Any = problem.backend
    state = backend.initial_state()
    after = backend.sgd_step(state, problem.batch(batch), lr=1.0, seed=0)
    return numbers(backend.ravel(after)) - numbers(backend.ravel(state))


def check_oracle_losses(problem: Problem) -> None:
    """The losses of θ*."""
    got, want = (
        p.backend.forward(p.backend.initial_state(), p.everything())
        for p in (problem, _oracle(problem))
    )
    assert_close(got, want, problem.tolerance)


def check_oracle_logits(problem: Problem) -> None:
    """The logits of θ*, up to a constant per sample, as probabilities do not know it."""
    oracle = _oracle(problem)
    require(problem, SupportsLogits)
    require(oracle, SupportsLogits)

    def logits(p: Problem) -> Any:
        backend: Any = p.backend
        found = numbers(backend.logits(backend.initial_state(), p.everything()))
        return found - found.mean(axis=1, keepdims=True)

    assert_close(logits(problem), logits(oracle), problem.tolerance)


def check_oracle_training_losses(problem: Problem) -> None:
    """The training losses of θ*."""
    oracle = _oracle(problem)
    require(problem, SupportsTrainingLosses)

    def losses(p: Problem) -> Any:
        backend: Any = p.backend
        return backend.training_losses(backend.initial_state(), p.batch(), seed=0)

    assert_close(losses(problem), losses(oracle), problem.tolerance)


def check_oracle_steps(problem: Problem) -> None:
    """The losses after one step, and after ten of a cosine schedule, buffers included."""
    oracle = _oracle(problem)
    schedule = Cosine(problem.lr, 10)

    def walk(p: Problem, steps: int) -> list[NDArray[np.float64]]:
        state = p.backend.initial_state()
        for step in range(steps):
            state = p.backend.sgd_step(state, p.batch(step), lr=schedule(step), seed=step)
        return [numbers(p.backend.forward(state, p.everything())), p.settled_losses(state)]

    for steps in (1, 10):
        for got, want in zip(walk(problem, steps), walk(oracle, steps), strict=True):
            assert_close(got, want, problem.tolerance)


def check_oracle_refresh(problem: Problem) -> None:
    """The losses after two batches have set the statistics."""
    oracle = _oracle(problem)
    require(problem, SupportsBufferRefresh)

    def losses(p: Problem) -> Any:
        backend: Any = p.backend
        state = backend.refresh_buffers(backend.initial_state(), [p.batch(0), p.batch(1)])
        return backend.forward(state, p.everything())

    assert_close(losses(problem), losses(oracle), problem.tolerance)


def check_oracle_jvp(problem: Problem) -> None:
    """The derivative of every loss along the first step."""
    oracle = _oracle(problem)
    require(problem, SupportsJvp, SupportsParams)

    def along(p: Problem) -> Any:
        backend: Any = p.backend
        return backend.jvp(backend.initial_state(), _direction(p, 0), p.everything())

    assert_close(along(problem), along(oracle), 10 * problem.tolerance)


def check_oracle_hvp(problem: Problem) -> None:
    """Curvature along and between the steps on two batches."""
    oracle = _oracle(problem)
    require(problem, SupportsHvp, SupportsParams)

    def curvature(p: Problem) -> list[float]:
        backend: Any = p.backend
        u, v = _direction(p, 0), _direction(p, 1)
        hu = numbers(backend.hvp(backend.initial_state(), u, p.everything()))
        return [float(u @ hu), float(v @ hu)]

    assert_close(curvature(problem), curvature(oracle), 10 * problem.tolerance)


def check_oracle_sample_gradients(problem: Problem) -> None:
    """Products of all pairs of gradients."""
    oracle = _oracle(problem)
    require(problem, SupportsSampleGradients, SupportsParams)

    def gram(p: Problem) -> NDArray[np.float64]:
        backend: Any = p.backend
        rows = numbers(backend.sample_gradients(backend.initial_state(), p.everything()))
        return rows @ rows.T

    assert_close(gram(problem), gram(oracle), 10 * problem.tolerance)


def check_oracle_features(problem: Problem) -> None:
    """The inputs of the last layer, unit by unit."""
    oracle = _oracle(problem)
    require(problem, SupportsFeatures)

    def features(p: Problem) -> Any:
        backend: Any = p.backend
        return backend.features(backend.initial_state(), p.everything())

    assert_close(features(problem), features(oracle), problem.tolerance)


def check_oracle_kronecker(problem: Problem) -> None:
    """The eigenvalues of both factors of every layer, for the given labels and for drawn ones."""
    oracle = _oracle(problem)
    require(problem, SupportsKronecker, SupportsParams)

    def spectra(p: Problem, seed: int | None) -> list[Any]:
        backend: Any = p.backend
        blocks = backend.kronecker(backend.initial_state(), p.everything(), seed=seed)
        # layers may come in any order; all layers of a toy differ in shape
        ordered = sorted(blocks, key=lambda block: block.positions.shape)
        return [
            np.linalg.eigvalsh(numbers(factor))
            for block in ordered
            for factor in (block.inputs, block.outputs)
        ]

    for seed in (None, 0, 1):
        for got, want in zip(spectra(problem, seed), spectra(oracle, seed), strict=True):
            assert_close(got, want, 10 * problem.tolerance)


def check_oracle_scores(problem: Problem) -> None:
    """Self-influence by GEX and GEX-lin over short chains with a fixed learning rate.

    Losses are not bounded: a backend may know a scale of its loss that the oracle does not.
    """
    oracle = _oracle(problem)
    settings: dict[str, Any] = {
        "lr": problem.lr,
        "chains": 2,
        "snapshots": 2,
        "steps_per_snapshot": 4,
        "scoring": "evaluated",
    }
    methods: list[Any] = [GEX(batch_size=problem.batch_size, ceiling=None, **settings)]
    if supports(problem.backend, SupportsJvp) and supports(problem.backend, SupportsParams):
        methods.append(GEXLin(batch_size=problem.batch_size, **settings))
    for method in methods:
        got, want = (
            method.fit(p.backend, p.data, progress=False).self_influence()
            for p in (problem, oracle)
        )
        # relative to the largest score: most scores of a memorised net are near zero
        assert_close(
            got / want.max(), want / want.max(), 1e-8 if problem.precision == "float64" else 1e-4
        )


LAWS = (
    check_oracle_losses,
    check_oracle_logits,
    check_oracle_training_losses,
    check_oracle_steps,
    check_oracle_refresh,
    check_oracle_jvp,
    check_oracle_hvp,
    check_oracle_sample_gradients,
    check_oracle_features,
    check_oracle_kronecker,
    check_oracle_scores,
)
