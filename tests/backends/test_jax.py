"""The JAX backend against the oracle: law by law, and by the scores of whole runs; what it compiles
and keeps."""

from __future__ import annotations

import doctest
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gexcore as gx
from gexcore.testing import oracle
from gexcore.testing.datasets import check_dataset
from gexcore.testing.problems import Precision, Toy
from gexcore.testing.suite import LAWS, BackendTests
from gexcore_jax import JaxModel
from gexcore_jax.backend import JaxBackend, JaxState
from gexcore_jax.buffers import batch_statistics
from gexcore_jax.data import dataset_of, roomy
from gexcore_numpy import MLP, NumpyBackend

# this process alone: the package never touches JAX's configuration
jax.config.update("jax_enable_x64", True)

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"relu": jax.nn.relu, "tanh": jnp.tanh}


def perceptron(model: MLP) -> JaxModel:
    """The oracle's model in JAX; its BatchNorm averages as PyTorch's does."""
    activation = ACTIVATIONS[model.activation]
    norms = model.batch_norm or ()
    params = {
        "layers": list(zip(model.weights, model.biases, strict=True)),
        "norms": [(norm.scale, norm.offset) for norm in norms],
    }

    def apply(params: Any, moments: Any, x: Any, *, training: bool, key: Any) -> tuple[Any, Any]:
        *hidden, (weight, bias) = params["layers"]
        new = []
        for depth, (w, b) in enumerate(hidden):
            x = x @ w + b
            if norms:
                mean, var = moments[depth]
                used = (x.mean(0), x.var(0)) if training else (mean, var)
                new.append(
                    (0.9 * mean + 0.1 * used[0], 0.9 * var + 0.1 * x.var(0, ddof=1))
                    if training
                    else used
                )
                scale, offset = params["norms"][depth]
                x = (x - used[0]) / jnp.sqrt(used[1] + 1e-5) * scale + offset
            x = activation(x)
        return x @ weight + bias, new

    return JaxModel(apply, params, [(norm.mean, norm.var) for norm in norms])


class TestOracle(BackendTests):
    def build(self, toy: Toy) -> JaxBackend:
        return JaxBackend(perceptron(toy.model), loss=toy.loss, optimizer=toy.optimizer)

    def checkpoint(self, backend: JaxBackend, state: JaxState) -> JaxModel:
        return JaxModel(print, state.params, state.buffers)


class TestSelected(TestOracle):
    """A backend of some parameters is a backend."""

    toys = ("relu_batch_norm", "float32_adamw")
    laws = tuple(law for law in LAWS if law not in oracle.LAWS)

    def build(self, toy: Toy) -> JaxBackend:
        backend = super().build(toy)
        return backend.select(list(backend.parameter_names())[::3])

    def checkpoint(self, backend: JaxBackend, state: JaxState) -> Any:
        frozen, buffers = state.buffers
        return {**state.params, **frozen}, buffers


@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-8), ("float32", 1e-4)])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_whole_run_gives_the_oracles_scores(
    precision: Precision, tolerance: float, batch_norm: bool
) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    x = (rng.normal(size=(90, 4)) + 2 * np.eye(3, 4)[y]).astype(precision)
    start = NumpyBackend(
        MLP.init((4, 16, 3), seed=0, activation="tanh", batch_norm=batch_norm, dtype=precision)
    )
    state = start.initial_state()
    for step in range(200):
        state = start.sgd_step(state, (x, y), lr=0.1, seed=step)
    model = start.to_model(state)
    y[:4] = (y[:4] + 1) % 3
    gex = gx.GEX(
        lr=0.05, chains=2, snapshots=3, steps_per_snapshot=10, batch_size=16, scoring="evaluated"
    )
    want = gex.fit(model, (x, y), test=(x[:7], y[:7]), progress=False)
    backend = JaxBackend(perceptron(model))
    got = gex.fit(backend, (x, y), test=(x[:7], y[:7]), progress=False)
    free = gx.GEX(
        lr=0.05, snapshots=8, steps_per_snapshot=20, batch_size=16, scoring="training_batches"
    )
    pairs = [
        (got.self_influence(), want.self_influence()),
        (got.suspicion(), want.suspicion()),
        (got.influence(), want.influence()),
        (
            free.fit(backend, (x, y), progress=False).suspicion(),
            free.fit(model, (x, y), progress=False).suspicion(),
        ),
    ]
    for actual, expected in pairs:
        np.testing.assert_allclose(
            actual, expected, rtol=0, atol=tolerance * np.abs(expected).max()
        )


class Traced:
    """A linear model that counts how often it is traced."""

    def __init__(self) -> None:
        self.training: list[bool] = []
        self.model = JaxModel(self.apply, np.ones((5, 3), np.float32), np.zeros(2, np.float32))

    def apply(
        self, params: Any, buffers: Any, x: Any, *, training: bool, key: Any
    ) -> tuple[Any, Any]:
        self.training.append(training)
        return x @ params, buffers + 1 if training else buffers


def batch(size: int) -> tuple[Any, Any]:
    return np.ones((size, 5), np.float32), np.arange(size) % 3


@contextmanager
def compiled() -> Iterator[list[str]]:
    """Names of what is compiled within."""
    names: list[str] = []

    def note(event: str, duration: float, **about: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(str(about.get("fun_name", event)))

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        yield names
    finally:
        jax.monitoring.unregister_event_duration_listener(note)


def test_steps_of_a_schedule_compile_once() -> None:
    traced = Traced()
    backend = JaxBackend(traced.model)
    with compiled() as first:
        state = backend.sgd_step(backend.initial_state(), batch(16), lr=0.1, seed=0)
    assert first
    with compiled() as names:
        for step in range(10):
            state = backend.sgd_step(state, batch(16), lr=0.1 / (step + 1), seed=2**32 - 1 - step)
        for other in (backend.restart(state), backend.initial_state(), backend.copy(state)):
            backend.sgd_step(other, batch(16), lr=1, seed=0)
    assert (traced.training, names) == ([True], [])


def test_a_ragged_batch_compiles_at_most_once_more() -> None:
    traced = Traced()
    backend = JaxBackend(traced.model)
    state, flat = backend.initial_state(), np.ones(15)
    for size in (16, 3):
        backend.forward(state, batch(size))
        backend.jvp(state, flat, batch(size))
        backend.features(state, batch(size))
    before = len(traced.training)
    whole = np.asarray(backend.forward(state, batch(16)))
    for size in (16, 15, 13, 9, 8, 5, 1):
        losses = backend.forward(state, batch(size))
        np.testing.assert_array_equal(losses, whole[:size])
        assert backend.jvp(state, flat, batch(size)).shape == (size,)
        assert backend.features(state, batch(size)).shape == (size, 5)
    assert len(traced.training) == before


def test_padding_is_little_and_its_sizes_are_few() -> None:
    for size in range(1, 3000):
        assert size <= roomy(size) <= max(size + 7, 1.25 * size)
    assert len({roomy(size) for size in range(1, 2**15)}) < 50


def test_only_the_given_state_is_used_up() -> None:
    weights = jnp.ones((5, 3))
    traced = Traced()
    backend = JaxBackend(JaxModel(traced.apply, weights, jnp.zeros(2)))
    mine = backend.copy(backend.initial_state())
    after, _ = backend.sgd_step_(mine, batch(16), lr=0.1, seed=0)
    assert mine.params.is_deleted()
    assert mine.memory.is_deleted()
    assert not weights.is_deleted()
    assert not backend.initial_state().params.is_deleted()
    kept = backend.copy(after)
    backend.sgd_step_(after, batch(16), lr=0.1, seed=0)
    backend.forward(kept, batch(16))


def test_a_vector_of_parameters_outlives_its_state() -> None:
    backend = JaxBackend((lambda params, x: x @ params, np.ones(5)), loss="squared_error")
    data = np.ones((4, 5)), np.zeros(4)
    mine = backend.copy(backend.initial_state())
    flat = backend.ravel(mine)
    given = np.full(5, 2.0)
    moved = backend.unravel(mine, given)
    given[:] = np.nan
    backend.sgd_step_(mine, data, lr=0.1, seed=0)
    np.testing.assert_array_equal(flat, np.ones(5))
    np.testing.assert_array_equal(backend.forward(moved, data), np.full(4, 100.0))


def test_constants_are_shared_by_all_states() -> None:
    def apply(params: Any, buffers: Any, x: Any, *, training: bool, key: Any) -> tuple[Any, Any]:
        return x @ buffers["frozen"] @ params, {**buffers, "seen": buffers["seen"] + 1}

    buffers = {"frozen": np.ones((5, 4)), "seen": np.array(0)}
    backend = JaxBackend(JaxModel(apply, np.ones((4, 3)), buffers, statistics=False))
    start = backend.initial_state()
    state, _ = backend.sgd_step_(backend.copy(start), batch(8), lr=0.1, seed=0)
    assert state.buffers["frozen"] is start.buffers["frozen"]
    assert (int(start.buffers["seen"]), int(state.buffers["seen"])) == (0, 1)
    stacked = backend.stack([start, state])
    assert [None if leaf is None else leaf.shape for leaf in stacked.own] == [None, (2,)]


def test_averages_are_told_from_other_buffers() -> None:
    matrix = jnp.array([[2.0, 1.0], [0.5, 3.0]])
    fresh = {"slow": jnp.array([3.0, -1.0]), "fast": jnp.array(7.0)}

    def train(old: Any) -> Any:
        vector = matrix @ old["vector"]
        return {
            "slow": 0.99 * old["slow"] + 0.01 * fresh["slow"],
            "fast": 0.5 * old["fast"] + 0.5 * fresh["fast"],
            "total": old["total"] + 4.0,
            "vector": vector / jnp.linalg.norm(vector),
            "steps": old["steps"] + 1,
            "constant": old["constant"],
        }

    old = {
        "slow": jnp.array([9.0, 9.0]),
        "fast": jnp.array(9.0),
        "total": jnp.array(5.0),
        "vector": jnp.array([1.0, 0.0]),
        "steps": jnp.array(3),
        "constant": jnp.ones(4),
    }
    found = jax.jit(
        lambda buffers: dict(zip(sorted(buffers), batch_statistics(train, buffers), strict=True))
    )(old)
    np.testing.assert_allclose(found["slow"], fresh["slow"], rtol=1e-12)
    np.testing.assert_allclose(found["fast"], fresh["fast"], rtol=1e-12)
    assert found["total"] == old["total"]
    np.testing.assert_array_equal(found["vector"], old["vector"])
    assert found["steps"] is found["constant"] is None


def test_native_dataset() -> None:
    columns = (jnp.arange(60.0).reshape(20, 3), jnp.arange(20))
    dataset = dataset_of(columns)
    assert dataset is not None
    check_dataset(dataset)
    assert all(isinstance(column, jax.Array) for column in dataset.batch(np.array([3, 1])))
    assert dataset_of((columns[0], np.arange(20))) is None


@pytest.mark.parametrize("module", ["backend", "data", "models"])
def test_docstring_examples(module: str) -> None:
    results = doctest.testmod(importlib.import_module(f"gexcore_jax.{module}"))
    assert results.failed == 0 < results.attempted


def test_relearning_gives_the_oracles_losses() -> None:
    rng = np.random.default_rng(3)
    y = np.repeat([0, 1, 2], 20)
    x = rng.normal(size=(60, 5)) + 4 * np.eye(5)[y]
    mlp = MLP.init((5, 8, 3), seed=0, activation="tanh", dtype="float64")
    gex = gx.GEX(ensemble=gx.Relearning(lr=0.05, epochs=3))
    ours, theirs = (
        gex.fit(model, (x, y), progress=False)
        for model in (JaxBackend(perceptron(mlp)), NumpyBackend(mlp))
    )
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-6)
    assert len(ours.table) > 2
