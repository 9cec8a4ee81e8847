"""Scoring several states, chunks of steps and derivatives, beside as many calls by hand."""

from __future__ import annotations

import os

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bench.nets.case import BATCH_SIZE
from bench.studies.cost_of_scoring import DIRECTIONS, MEMBERS, kernels_of
from gexcore.backend.capabilities import supports
from gexcore.backend.data import as_dataset, to_numpy
from gexcore.backend.protocols import SupportsParams
from gexcore.evaluation.derivatives import directional
from gexcore.evaluation.losses import evaluate_many


@pytest.mark.parametrize("kernel", ["bare steps", "generation"])
def test_chunk(benchmark, case, losses, kernel):
    benchmark.group = f"{case.name}, chunk of steps"
    benchmark(kernels_of(case)[kernel], 1)
    backend = case.backend
    batch = as_dataset(case.data, backend).batch(np.arange(BATCH_SIZE))
    start = to_numpy(backend.forward(backend.initial_state(), batch))
    assert_allclose(start, losses, rtol=1e-4, atol=1e-5)


def test_bare_forwards(benchmark, case):
    benchmark.group = f"{case.name}, {MEMBERS + 1} states"
    found = benchmark(lambda: [to_numpy(case.forward()) for _ in range(MEMBERS + 1)])
    assert np.shape(found) == (MEMBERS + 1, BATCH_SIZE)


def test_many_states(benchmark, case, losses):
    benchmark.group = f"{case.name}, {MEMBERS + 1} states"
    backend, data = case.backend, as_dataset(case.data, case.backend)
    states = [backend.restart(backend.initial_state()) for _ in range(MEMBERS + 1)]
    found = benchmark(evaluate_many, backend, states, data, batch_size=BATCH_SIZE)
    assert_allclose(found, np.tile(losses, (MEMBERS + 1, 1)), rtol=1e-4, atol=1e-5)


def test_directions(benchmark, case):
    benchmark.group = f"{case.name}, {DIRECTIONS} directions"
    backend, data = case.backend, as_dataset(case.data, case.backend)
    if not supports(backend, SupportsParams):
        pytest.skip("the backend has no parameters as an array")
    crashes = backend.name == "tensorflow" and case.name == "transformer encoder"
    if crashes and os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0":
        pytest.skip("ends in a segmentation fault of TensorFlow; set TF_ENABLE_ONEDNN_OPTS=0")
    state = backend.initial_state()
    flat = to_numpy(backend.ravel(state))
    tangents = np.random.default_rng(0).standard_normal((DIRECTIONS, len(flat)), dtype=flat.dtype)
    found = benchmark(directional, backend, [state], tangents, data, batch_size=BATCH_SIZE)
    single = directional(backend, [state], tangents[:1], data, batch_size=BATCH_SIZE)
    assert_allclose(np.squeeze(found)[0], np.squeeze(single), rtol=1e-2, atol=1e-3)
