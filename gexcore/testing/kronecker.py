"""Laws of Kronecker-factored statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.drawing import sample_targets
from gexcore.backend.kronecker import KroneckerBlock
from gexcore.backend.protocols import (
    SupportsKronecker,
    SupportsLogits,
    SupportsParams,
    SupportsSampleGradients,
)
from gexcore.errors import InvalidSettingError
from gexcore.testing._hypothesis import pytest
from gexcore.testing.checks import require
from gexcore.testing.compare import assert_close, numbers
from gexcore.testing.problems import Problem


def check_kronecker(problem: Problem) -> None:
    """Symmetric positive semi-definite factors of distinct parameters, equal for equal seeds."""
    require(problem, SupportsKronecker, SupportsParams)
    backend: Any = problem.backend
    batch = problem.everything()
    state = problem.walk(backend.initial_state(), 2)
    before = problem.observe(state)
    for seed in drawable_seeds(problem):
        blocks = backend.kronecker(state, batch, seed=seed)
        assert len(blocks) > 0
        assert len({block.name for block in blocks}) == len(blocks)
        positions = np.concatenate([block.positions.ravel() for block in blocks])
        assert np.issubdtype(positions.dtype, np.integer)
        assert len(np.unique(positions)) == len(positions), "a parameter stands in two places"
        assert positions.min() >= 0
        assert positions.max() < numbers(backend.ravel(state)).size
        for block in blocks:
            o, i = block.positions.shape
            for factor, size in ((numbers(block.outputs), o), (numbers(block.inputs), i)):
                assert factor.shape == (size, size)
                assert_close(factor, factor.T, problem.tolerance)
                eigenvalues = np.linalg.eigvalsh((factor + factor.T) / 2)
                assert eigenvalues[0] >= -problem.tolerance * max(eigenvalues[-1], 1.0)
        assert_same_blocks(backend.kronecker(state, batch, seed=seed), blocks, problem.tolerance)
    problem.assert_seen(state, before)


def check_kronecker_of_one_sample(problem: Problem) -> None:
    """The factors of one sample and a layer applied once are those of an outer product."""
    require(problem, SupportsKronecker, SupportsSampleGradients, SupportsParams)
    backend: Any = problem.backend
    state = problem.walk(backend.initial_state(), 2)
    for sample in (0, len(problem.dataset) - 1):
        batch = problem.dataset.batch(np.array([sample]))
        row = numbers(backend.sample_gradients(state, batch))[0]
        for block in backend.kronecker(state, batch, seed=None):
            g, s, a = row[block.positions], numbers(block.outputs), numbers(block.inputs)
            once = all(_is_outer_product(factor, problem.tolerance) for factor in (s, a))
            assert once or problem.toy is None, (
                f"{block.name!r} is applied once, but its factors are of higher rank"
            )
            if once:
                # equal to kron(s, a) = vec(g) vec(g)ᵀ, in less memory
                assert_close(np.trace(a) * s, g @ g.T, problem.tolerance)
                assert_close(np.trace(s) * a, g.T @ g, problem.tolerance)


def check_kronecker_is_a_mean(problem: Problem) -> None:
    """The mean of two batches of one size has the statistics of both."""
    require(problem, SupportsKronecker, SupportsParams)
    backend: Any = problem.backend
    state = problem.walk(backend.initial_state(), 2)
    both = problem.dataset.batch(np.arange(2 * problem.batch_size))
    whole, *halves = (
        backend.kronecker(state, b, seed=None) for b in (both, problem.batch(0), problem.batch(1))
    )
    mean = [
        one._replace(
            inputs=(numbers(one.inputs) + numbers(two.inputs)) / 2,
            outputs=(numbers(one.outputs) + numbers(two.outputs)) / 2,
        )
        for one, two in zip(*halves, strict=True)
    ]
    assert_same_blocks(whole, mean, problem.tolerance)


def check_kronecker_seed(problem: Problem) -> None:
    """With a seed the statistics are those of labels drawn from the logits."""
    require(problem, SupportsKronecker, SupportsLogits, SupportsParams)
    pair = problem.data if isinstance(problem.data, tuple) and len(problem.data) == 2 else None
    if not problem.classifies or pair is None or np.ndim(pair[1]) != 1:
        pytest.skip("the data of this problem are not (x, labels)")
    backend: Any = problem.backend
    state, batch = problem.walk(backend.initial_state(), 2), problem.everything()
    for seed in (0, 1):
        drawn = sample_targets(numbers(backend.logits(state, batch)), seed=seed)
        labels = drawn.astype(np.asarray(pair[1]).dtype)
        given = replace(problem, data=(pair[0], labels)).everything()
        expected = backend.kronecker(state, given, seed=None)
        assert_same_blocks(backend.kronecker(state, batch, seed=seed), expected, problem.tolerance)


def drawable_seeds(problem: Problem) -> tuple[int | None, ...]:
    """None and a seed, or None alone for a loss that refuses to draw labels."""
    backend: Any = problem.backend
    try:
        backend.kronecker(backend.initial_state(), problem.batch(), seed=5)
    except InvalidSettingError:
        if problem.toy is not None:
            raise
        return (None,)
    return (None, 5)


def assert_same_blocks(
    actual: Sequence[KroneckerBlock], expected: Sequence[KroneckerBlock], tolerance: float
) -> None:
    """Fail unless blocks have the same parameters in the same order, with close factors."""
    assert [block.name for block in actual] == [block.name for block in expected]
    for got, want in zip(actual, expected, strict=True):
        assert np.array_equal(got.positions, want.positions)
        assert_close(got.inputs, want.inputs, tolerance)
        assert_close(got.outputs, want.outputs, tolerance)


def _is_outer_product(factor: NDArray[np.float64], tolerance: float) -> bool:
    # a positive semi-definite matrix of rank one has its trace in one eigenvalue
    return bool(np.linalg.norm(factor) >= (1 - 10 * tolerance) * np.trace(factor))


LAWS = (
    check_kronecker,
    check_kronecker_of_one_sample,
    check_kronecker_is_a_mean,
    check_kronecker_seed,
)
