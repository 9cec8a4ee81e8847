"""What a backend does with one batch, beside the bare loop of its framework."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bench.nets.case import BATCH_SIZE, Case
from gexcore.backend.capabilities import supports
from gexcore.backend.data import as_dataset, to_numpy
from gexcore.backend.protocols import SupportsDonation, SupportsHvp, SupportsJvp
from gexcore.evaluation.derivatives import difference

EVERY = np.arange(BATCH_SIZE)


@pytest.fixture
def group(benchmark, case: Case) -> None:
    benchmark.group = f"{case.name}, batch of {BATCH_SIZE}"


def batch_of(case: Case):
    return as_dataset(case.data, case.backend).batch(EVERY)


@pytest.mark.usefixtures("group")
def test_read(benchmark, case, losses):
    data = as_dataset(case.data, case.backend)
    batch = benchmark(data.batch, EVERY)
    found = case.backend.forward(case.backend.initial_state(), batch)
    assert_allclose(to_numpy(found), losses, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("group")
def test_bare_forward(benchmark, case):
    assert to_numpy(benchmark(lambda: to_numpy(case.forward()))).shape == (BATCH_SIZE,)


@pytest.mark.usefixtures("group")
def test_forward(benchmark, case, losses):
    backend, batch = case.backend, batch_of(case)
    state = backend.initial_state()
    found = benchmark(lambda: to_numpy(backend.forward(state, batch)))
    assert_allclose(found, losses, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("group")
def test_bare_step(benchmark, case):
    assert np.isfinite(benchmark(case.step))


@pytest.mark.usefixtures("group")
def test_step(benchmark, case, losses):
    backend, batch = case.backend, batch_of(case)
    start = backend.initial_state()
    if supports(backend, SupportsDonation):
        state = backend.copy(start)

        def step():
            nonlocal state
            state, found = backend.sgd_step_(state, batch, lr=0.0, seed=0)
            return to_numpy(found)
    else:
        state = start

        def step():
            nonlocal state
            state = backend.sgd_step(state, batch, lr=0.0, seed=0)
            return to_numpy(backend.forward(state, batch))

    assert np.isfinite(benchmark(step)).all()
    # at a learning rate of zero the given model stays as it is
    assert_allclose(to_numpy(backend.forward(start, batch)), losses, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("group")
def test_jvp(benchmark, case):
    backend, batch = case.backend, batch_of(case)
    if not supports(backend, SupportsJvp):
        pytest.skip("the backend has no JVP")
    state = backend.initial_state()
    tangent = to_numpy(backend.ravel(state))
    found = benchmark(lambda: to_numpy(backend.jvp(state, tangent, batch)))
    expected = difference(backend, state, tangent, batch)
    assert np.corrcoef(found, expected)[0, 1] > 0.99


@pytest.mark.usefixtures("group")
def test_hvp(benchmark, case):
    backend, batch = case.backend, batch_of(case)
    if not supports(backend, SupportsHvp):
        pytest.skip("the backend has no Hessian products")
    state = backend.initial_state()
    tangent = to_numpy(backend.ravel(state))
    product = benchmark(lambda: to_numpy(backend.hvp(state, tangent, batch)))
    assert product.shape == tangent.shape
    assert_allclose(
        to_numpy(backend.hvp(state, 2 * tangent, batch)), 2 * product, rtol=1e-2, atol=1e-3
    )
