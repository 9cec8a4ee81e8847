"""Real retraining: what it is, that the influence function approximates it, and what it refuses."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.backend.optimizer import Optimizer
from gexcore.errors import InvalidModelError, InvalidSettingError
from gexcore_numpy import MLP, NumpyBackend

QUIET = {"progress": False}
DECAY = 0.1


def train(data: Any, start: MLP | None, seed: int) -> MLP:
    """Softmax regression with weight decay, to convergence: one minimum, whatever the start."""
    model = start or MLP([np.zeros((3, 3))], [np.zeros(3)])
    backend = NumpyBackend(model, optimizer=Optimizer(momentum=0.9, weight_decay=DECAY))
    state = backend.initial_state()
    for _ in range(300):
        state = backend.sgd_step(state, data, lr=0.3, seed=seed)
    return backend.to_model(state)


@pytest.fixture(scope="module")
def problem() -> Any:
    rng = np.random.default_rng(3)
    x, test_x = rng.normal(size=(30, 3)), rng.normal(size=(5, 3))
    y, test_y = (
        (a @ rng.normal(size=(3, 3)) + rng.normal(size=(len(a), 3))).argmax(axis=1)
        for a in (x, test_x)
    )
    return train((x, y), None, 0), (x, y), (test_x, test_y)


@pytest.mark.parametrize("start", ["warm", "cold"])
def test_retraining_agrees_with_the_influence_function(problem: Any, start: Any) -> None:
    model, data, test = problem
    exact = gx.LOO(train=train, start=start).fit(model, data, test=test, **QUIET)
    approximate = gx.IF(damping=0.0, weight_decay=DECAY).fit(model, data, test=test, **QUIET)
    assert exact.influence().shape == (5, 30)
    assert np.corrcoef(exact.influence().ravel(), approximate.influence().ravel())[0, 1] > 0.99
    np.testing.assert_allclose(
        exact.influence(), approximate.influence() / 30, atol=0.25 * np.abs(exact.influence()).max()
    )
    assert np.corrcoef(exact.self_influence(), approximate.self_influence())[0, 1] > 0.97
    assert (exact.self_influence() > 0).all()


@pytest.mark.parametrize("start", ["warm", "cold"])
def test_it_is_the_loop_that_one_would_write(problem: Any, start: Any) -> None:
    model, (x, y), test = problem

    def losses(given: MLP, data: Any) -> Any:
        backend = NumpyBackend(given)
        return backend.forward(backend.initial_state(), data)

    def short(data: Any, begun: MLP | None, seed: int) -> MLP:
        backend = NumpyBackend(begun or MLP([np.zeros((3, 3))], [np.zeros(3)]))
        return backend.to_model(backend.sgd_step(backend.initial_state(), data, lr=0.5, seed=seed))

    wanted, own = np.empty((5, 30)), np.empty(30)
    for i in range(30):
        kept = np.arange(30) != i
        without = short((x[kept], y[kept]), model if start == "warm" else None, 0)
        wanted[:, i] = losses(without, test) - losses(model, test)
        own[i] = (losses(without, (x, y)) - losses(model, (x, y)))[i]
    found = gx.LOO(train=short, start=start).fit(model, (x, y), test=test, **QUIET)
    np.testing.assert_allclose(found.influence(), wanted, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(found.self_influence(), own, rtol=1e-10, atol=1e-13)
    assert np.abs(wanted - np.roll(wanted, 1, axis=1)).max() > 1e-3


def test_without_test_data_the_training_set_is_asked(problem: Any) -> None:
    model, data, _ = problem
    found = gx.LOO(train=train, indices=[4, 17], workers=2).fit(model, data, **QUIET)
    assert found.influence().shape == (30, 2)
    np.testing.assert_allclose(found.influence()[[4, 17], [0, 1]], found.self_influence())
    np.testing.assert_array_equal(found.indices, [4, 17])
    assert found.run.chosen == {"trainings": 2}
    assert "without each of 2 samples, 1 times" in repr(found)
    assert np.isnan(found.standard_error()).all()


def test_a_sample_is_left_out_and_nothing_else(problem: Any) -> None:
    model, (x, y), _ = problem
    seen = []

    def record(data: Any, start: Any, seed: int) -> Any:
        seen.append((data, start, seed))
        return model

    gx.LOO(train=record, indices=[7], repeats=2, seed=5, start="cold").fit(model, (x, y), **QUIET)
    (data, start, seed), (_, _, second) = seen
    np.testing.assert_array_equal(data[0], np.delete(x, 7, axis=0))
    np.testing.assert_array_equal(data[1], np.delete(y, 7))
    assert (start, seed, second) == (None, 5, 6)


def test_other_data_comes_as_a_dataset_and_the_model_as_a_copy(problem: Any) -> None:
    model, (x, y), _ = problem

    class Own:
        def __len__(self) -> int:
            return 30

        def batch(self, indices: Any, /) -> Any:
            return x[indices], y[indices]

    seen = []

    def record(data: Any, start: Any, seed: int) -> Any:
        seen.append((data, start))
        start.weights[0][:] = 0
        return start

    before = model.weights[0].copy()
    gx.LOO(train=record, indices=[0]).fit(model, Own(), **QUIET)
    np.testing.assert_array_equal(model.weights[0], before)
    ((data, start),) = seen
    assert start is not model
    np.testing.assert_array_equal(data.batch(np.arange(len(data)))[1], y[1:])


def test_repeats_tell_their_own_noise(problem: Any) -> None:
    model, data, test = problem

    def noisy(data: Any, start: Any, seed: int) -> Any:
        shift = 0.05 * np.random.default_rng(seed).normal(size=(3, 3))
        return MLP([start.weights[0] + shift], start.biases)

    found = gx.LOO(train=noisy, indices=[0, 1], repeats=5).fit(model, data, test=test, **QUIET)
    assert found.differences.shape == (5, 2, 5)
    wanted = found.differences[:, 1, 3].std(ddof=1) / np.sqrt(5)
    assert found.standard_error()[3, 1] == pytest.approx(wanted)
    assert (found.standard_error() > 0).all()


def test_workers_train_at_the_same_time(problem: Any) -> None:
    model, data, _ = problem
    both = threading.Barrier(2, timeout=20)

    def meet(data: Any, start: Any, seed: int) -> Any:
        both.wait()
        return start

    gx.LOO(train=meet, indices=[0, 1], workers=2).fit(model, data, **QUIET)


def test_what_is_refused(problem: Any) -> None:
    model, data, _ = problem

    def fail(data: Any, start: Any, seed: int) -> Any:
        raise RuntimeError("out of memory")

    def burst(data: Any, start: Any, seed: int) -> Any:
        return MLP([np.full((3, 3), np.inf)], [np.zeros(3)])

    with pytest.raises(
        InvalidModelError,
        match=r"train failed without sample 3 \(RuntimeError: out of memory\); it is",
    ):
        gx.LOO(train=fail, indices=[3]).fit(model, data, **QUIET)
    with pytest.raises(
        InvalidModelError, match="the model trained without sample 3 has non-finite losses"
    ):
        gx.LOO(train=burst, indices=[3]).fit(model, data, **QUIET)
    for indices in ([30], [-1], [], [0.5], [[1]]):
        with pytest.raises(InvalidSettingError, match="indices must be whole numbers from 0 to 29"):
            gx.LOO(train=train, indices=indices).fit(model, data, **QUIET)
    with pytest.raises(InvalidSettingError, match="start is 'hot'; allowed are 'warm' and 'cold'"):
        gx.LOO(train=train, start="hot")  # type: ignore[arg-type]
    with pytest.raises(InvalidSettingError, match="train is no callable; give train"):
        gx.LOO(train=None)  # type: ignore[arg-type]
