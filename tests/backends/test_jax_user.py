"""The user's arrays, modes, devices, precision and optimisers decide, and do not change."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

from gexcore.backend.capabilities import supports
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import SupportsBufferRefresh, SupportsLogits
from gexcore.backend.registry import BackendRegistry
from gexcore_jax import JaxModel, plugin
from gexcore_jax.backend import JaxBackend
from gexcore_jax.demo import mlp, train

# this process alone: the package never touches JAX's configuration
jax.config.update("jax_enable_x64", True)

X = np.random.default_rng(0).normal(size=(16, 5)).astype(np.float32)
Y = np.arange(16) % 3
BATCH = (X, Y)
WEIGHTS = np.ones((5, 3), np.float32)


def linear(params: Any, x: Any) -> Any:
    return x @ params


class Net(nnx.Module):
    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.linear = nnx.Linear(5, 8, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.head = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.head(self.dropout(nnx.relu(self.norm(self.linear(x)))))


def everything(backend: JaxBackend) -> None:
    """Call every method once."""
    state = backend.initial_state()
    backend.forward(state, BATCH)
    backend.logits(state, BATCH)
    backend.training_losses(state, BATCH, seed=1)
    state = backend.sgd_step(state, BATCH, lr=0.1, seed=2)
    state, _ = backend.sgd_step_(backend.copy(state), BATCH, lr=0.1, seed=1)
    if supports(backend, SupportsBufferRefresh):
        state = backend.refresh_buffers(backend.restart(state), [BATCH])
    flat = backend.ravel(state)
    backend.jvp(state, flat, BATCH)
    backend.hvp(state, flat, BATCH)
    backend.forward_many(backend.stack([backend.unravel(state, 2 * flat), state]), BATCH)
    backend.sample_gradients(state, BATCH)
    backend.features(state, BATCH)
    for seed in (None, 1):
        backend.kronecker(state, BATCH, seed=seed)
    selected = backend.select(list(backend.parameter_names())[-1:])
    selected.sgd_step(selected.initial_state(), BATCH, lr=0.1, seed=0)
    backend.sgd_step(backend.load((state.params, state.buffers)), BATCH, lr=0.1, seed=0)


def read(model: nnx.Module) -> tuple[Any, Any]:
    """All there is to a module, in NumPy."""
    graph, keys, values = nnx.split(model, nnx.RngKey, ...)
    return graph, (
        jax.tree.map(lambda key: np.array(jax.random.key_data(key)), keys),
        jax.tree.map(np.array, values),
    )


def test_a_module_is_as_it_was() -> None:
    model = Net()
    model.eval()
    model.dropout.train()
    (graph, before), x = read(model), X.copy()
    backend = JaxBackend(model)
    losses = np.asarray(backend.forward(backend.initial_state(), BATCH))
    everything(backend)
    after_graph, after = read(model)
    assert after_graph == graph
    jax.tree.map(np.testing.assert_array_equal, after, before)
    np.testing.assert_array_equal(X, x)
    model.head.kernel[...] = jnp.zeros((8, 3), jnp.float32)
    np.testing.assert_array_equal(backend.forward(backend.initial_state(), BATCH), losses)


def test_arrays_of_the_user_may_change_later() -> None:
    weights = WEIGHTS.copy()
    backend = JaxBackend((linear, weights))
    losses = np.asarray(backend.forward(backend.initial_state(), BATCH))
    weights[:] = 0.0
    np.testing.assert_array_equal(backend.forward(backend.initial_state(), BATCH), losses)


def test_only_params_of_a_module_are_trained() -> None:
    class Scaled(nnx.Module):
        def __init__(self) -> None:
            self.linear = nnx.Linear(5, 3, rngs=nnx.Rngs(0))
            self.scale = nnx.Variable(jnp.ones(3))

        def __call__(self, x: Any) -> Any:
            return self.linear(x) * self.scale[...]

    backend = JaxBackend(Scaled())
    state = backend.initial_state()
    assert backend.ravel(state).shape == (18,)
    assert backend.sgd_step(state, BATCH, lr=0.1, seed=0).buffers[0] is state.buffers[0]
    assert not supports(backend, SupportsBufferRefresh)


def test_equinox_modules_keep_their_integers() -> None:
    class Shifted(eqx.Module):
        weight: jax.Array
        shift: jax.Array
        power: int

        def __call__(self, x: Any) -> Any:
            return jnp.roll(x, self.shift) @ self.weight**self.power

    module = Shifted(jnp.full((5, 3), 2.0), jnp.array(2), 2)
    backend = JaxBackend(module)
    state = backend.initial_state()
    assert backend.ravel(state).shape == (15,)
    np.testing.assert_allclose(backend.logits(state, BATCH), jax.vmap(module)(X), rtol=1e-5)


def test_buffers_may_be_keys_and_counts() -> None:
    def apply(params: Any, buffers: Any, x: Any, *, training: bool, key: Any) -> tuple[Any, Any]:
        own, count = buffers
        noise = jax.random.normal(jax.random.fold_in(own, count), x.shape) if training else 0.0
        return (x + noise) @ params, (own, count + training)

    backend = JaxBackend(JaxModel(apply, WEIGHTS, (jax.random.key(3), 0)))
    state, _ = backend.sgd_step_(backend.copy(backend.initial_state()), BATCH, lr=0.1, seed=0)
    assert int(backend.refresh_buffers(state, [BATCH]).buffers[1]) == 1


@pytest.mark.parametrize(
    ("settings", "native"),
    [
        (Optimizer(momentum=0.9), lambda lr: optax.sgd(lr, momentum=0.9)),
        (Optimizer(momentum=0.0), optax.sgd),
        (Optimizer(name="adamw", weight_decay=0.1), lambda lr: optax.adamw(lr, weight_decay=0.1)),
    ],
)
def test_optimisers_agree_with_optax(settings: Optimizer, native: Callable[[Any], Any]) -> None:
    rows = []
    for optimizer in (settings, Optimizer(name=native)):
        backend = JaxBackend((linear, WEIGHTS.astype(np.float64)), optimizer=optimizer)
        state = backend.initial_state()
        for step in range(5):
            state = backend.sgd_step(state, BATCH, lr=0.1 / (1 + step), seed=0)
        rows.append(np.asarray(backend.ravel(state)))
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-12)


def test_an_optimiser_may_remember_the_parameters() -> None:
    def anchored(lr: Any) -> optax.GradientTransformation:
        def update(grads: Any, anchor: Any, params: Any) -> tuple[Any, Any]:
            return jax.tree.map(lambda g, p, a: -lr * (g + p - a), grads, params, anchor), anchor

        return optax.GradientTransformation(lambda params: params, update)

    backend = JaxBackend((linear, WEIGHTS), optimizer=Optimizer(name=anchored))
    state = backend.restart(backend.copy(backend.initial_state()))
    for step in range(2):
        state, _ = backend.sgd_step_(state, BATCH, lr=0.1, seed=step)
    assert np.isfinite(backend.forward(state, BATCH)).all()


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_is_read_in_full(dtype: Any) -> None:
    backend = JaxBackend((linear, jnp.asarray(WEIGHTS, dtype)))
    state = backend.sgd_step(backend.initial_state(), BATCH, lr=0.1, seed=0)
    assert state.params.dtype == dtype
    flat = backend.ravel(state)
    (block,) = backend.kronecker(state, BATCH, seed=0)
    for array in (
        *(
            backend.forward(state, BATCH),
            backend.logits(state, BATCH),
            flat,
            backend.jvp(state, flat, BATCH),
        ),
        *(
            backend.sample_gradients(state, BATCH),
            backend.features(state, BATCH),
            block.inputs,
            block.outputs,
        ),
    ):
        assert np.asarray(array).dtype == np.float32
    assert backend.unravel(state, flat).params.dtype == dtype
    np.testing.assert_array_equal(backend.ravel(backend.unravel(state, flat)), flat)


ELSEWHERE = """
    import jax, jax.numpy as jnp, numpy as np, warnings
    from gexcore_jax import JaxModel
    from gexcore_jax.backend import JaxBackend

    warnings.simplefilter("error")
    before = jax.config.values.copy()
    here, there = jax.devices()

    def apply(params, mean, x, *, training, key):
        return x @ params, 0.9 * mean + 0.1 * x.mean(0) if training else mean

    params, mean = jax.device_put((np.ones((5, 3)), np.zeros(5)), there)
    backend = JaxBackend(JaxModel(apply, params, mean))
    x, y = np.ones((8, 5)), np.arange(8) % 3
    elsewhere, own = jax.device_put((x, y), here), (jnp.asarray(x), jnp.asarray(y))
    for batch in ((x, y), elsewhere, own, (x[:3].astype(np.uint8), y[:3])):
        state = backend.copy(backend.initial_state())
        state, losses = backend.sgd_step_(state, batch, lr=0.1, seed=0)
        state = backend.unravel(backend.refresh_buffers(state, [batch]), np.ones(15))
        state, losses = backend.sgd_step_(backend.copy(state), batch, lr=0.1, seed=0)
        flat = backend.ravel(state)
        many = backend.forward_many(backend.stack([state, state]), batch)
        found = [losses, backend.forward(state, batch), many]
        found += [backend.jvp(state, flat, batch), backend.hvp(state, flat, batch)]
        found += [backend.sample_gradients(state, batch), backend.features(state, batch)]
        for seed in (None, 0):
            found += [a for block in backend.kronecker(state, batch, seed=seed) for a in block[2:]]
        loaded = backend.load((np.ones((5, 3)), np.zeros(5)))
        for array in (*jax.tree.leaves(state), *jax.tree.leaves(loaded), *found):
            assert array.devices() == {there}, array
            assert array.dtype == np.float32, array

    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("i",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("i"))
    split = jax.device_put(np.ones((4, 3)), sharding)
    x = x[:, :4]
    backend = JaxBackend((lambda params, x: x @ params, split))
    state, losses = backend.sgd_step_(backend.copy(backend.initial_state()), (x, y), lr=0.1, seed=0)
    state = backend.load(np.asarray(state.params))
    assert state.params.devices() == set(jax.devices())
    assert backend.sample_gradients(state, (x, y)).shape == (8, 12)
    assert [block.inputs.shape for block in backend.kronecker(state, (x, y), seed=0)] == [(4, 4)]
    backend.features(state, (x, y))
    backend.forward(backend.unravel(state, backend.ravel(state)), jax.device_put((x, y), here))
    assert jax.config.values == before
"""


def test_work_is_done_where_the_parameters_are() -> None:
    run_alone(ELSEWHERE, XLA_FLAGS="--xla_force_host_platform_device_count=2")


def test_finding_the_backend_imports_no_jax() -> None:
    run_alone("""
        import sys
        import numpy as np
        from gexcore.backend.registry import BackendRegistry
        import gexcore_jax.plugin

        registry = BackendRegistry()
        assert registry.find((print, {"w": np.ones(3)})) == "jax"
        assert registry.find(gexcore_jax.JaxModel(print, np.ones(3))) == "jax"
        ones = np.ones(3)
        for foreign in ((print, {}), (print, "text"), (print, [1.0]), ("text", ones), (ones, ones)):
            assert not gexcore_jax.plugin.recognises(foreign), foreign
        assert not {"jax", "flax", "equinox", "optax"} & set(sys.modules)
    """)


def run_alone(code: str, **variables: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "model",
    [
        Net(),
        eqx.nn.Linear(5, 3, key=jax.random.key(0)),
        JaxModel(linear, WEIGHTS),
        (linear, WEIGHTS),
        (linear, {"layers": [(jnp.ones(3), jnp.ones(3))]}),
        (eqx.nn.Linear(5, 3, key=jax.random.key(0)), nnx.state(Net())),
        linen.Dense(3),
    ],
)
def test_models_are_found(model: object) -> None:
    registry = BackendRegistry()
    assert registry.find(model) == "jax"
    assert plugin.gexcore_register_backend().missing() == []


def test_demo_memorises() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 4, 4)), rng.integers(0, 5, 300)
    apply, params = train(x, y, classes=5, seed=0)
    assert apply is mlp
    assert (np.asarray(apply(params, x.reshape(300, -1))).argmax(1) == y).all()
    again = train(x, y, classes=5, seed=0)[1]
    jax.tree.map(np.testing.assert_array_equal, again, params)


def test_opting_out() -> None:
    assert not supports(JaxBackend((linear, WEIGHTS)), SupportsBufferRefresh)
    assert supports(JaxBackend(Net()), SupportsBufferRefresh)
    for loss in ("squared_error", "binary_cross_entropy"):
        assert not supports(JaxBackend((linear, WEIGHTS), loss=loss), SupportsLogits)
