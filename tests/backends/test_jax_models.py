"""The laws on models that people have: Flax NNX, Flax Linen, Equinox, plain functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx
from flax.training import train_state

from gexcore.backend.capabilities import supports
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import SupportsBufferRefresh
from gexcore.errors import InvalidModelError
from gexcore.testing import optional
from gexcore.testing.problems import Problem
from gexcore.testing.suite import BackendTests
from gexcore_jax import JaxModel
from gexcore_jax.backend import JaxBackend

# this process alone: the package never touches JAX's configuration
jax.config.update("jax_enable_x64", True)

N = 24
RNG = np.random.default_rng(0)
LABELS = RNG.permutation(np.arange(N) % 3)


def numbers(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.normal(size=(N, *shape))


class Convolutional(nnx.Module):
    """BatchNorm, dropout, a frozen scale, and streams of its own."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(1, 4, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.dropout = nnx.Dropout(0.3, rngs=rngs)
        self.head = nnx.Linear(4, 3, rngs=rngs)
        self.frozen = nnx.Variable(jnp.full(3, 2.0, jnp.float32))
        self.rngs = rngs

    def __call__(self, x: Any) -> Any:
        x = jnp.tanh(self.norm(self.conv(x))).mean((1, 2))
        return self.head(self.dropout(x)) * self.frozen[...]


def nnx_convolutional() -> Problem:
    backend = JaxBackend(Convolutional(nnx.Rngs(0)))
    return Problem(backend, (numbers(6, 6, 1), LABELS), stochastic=True, precision="float32")


class LinenNet(linen.Module):
    @linen.compact
    def __call__(self, x: Any, train: bool) -> Any:
        x = linen.Dense(8)(x)
        x = linen.BatchNorm(use_running_average=not train)(x)
        x = linen.Dropout(0.3, deterministic=not train)(jnp.tanh(x))
        return linen.Dense(3)(x)


def linen_net() -> Problem:
    net = LinenNet()
    variables = net.init(jax.random.key(0), jnp.ones((2, 5)), False)

    def apply(params: Any, stats: Any, x: Any, *, training: bool, key: Any) -> tuple[Any, Any]:
        bound = {"params": params, "batch_stats": stats}
        scores, new = net.apply(bound, x, training, mutable=["batch_stats"], rngs={"dropout": key})
        return scores, new["batch_stats"]

    model = JaxModel(apply, variables["params"], variables["batch_stats"])
    return Problem(JaxBackend(model), (numbers(5), LABELS), stochastic=True, precision="float32")


def equinox_dropout() -> Problem:
    first, second = jax.random.split(jax.random.key(0))
    model = eqx.nn.Sequential(
        [
            eqx.nn.Linear(5, 16, key=first, dtype=jnp.float64),
            eqx.nn.Lambda(jnp.tanh),
            eqx.nn.Dropout(0.5),
            eqx.nn.Linear(16, 3, key=second, dtype=jnp.float64),
        ]
    )
    return Problem(JaxBackend(eqx.nn.inference_mode(model)), (numbers(5), LABELS), stochastic=True)


def keywords() -> Problem:
    def apply(params: Any, ids: Any, mask: Any) -> dict[str, Any]:
        weights = (mask / mask.sum(1, keepdims=True))[..., None]
        return {"logits": jnp.tanh(params["table"][ids] * weights).sum(1) @ params["head"]}

    params = {"table": RNG.normal(size=(7, 8)), "head": RNG.normal(size=(8, 3))}
    mask = (np.arange(4) < RNG.integers(1, 5, N)[:, None]).astype(np.int64)
    return Problem(
        JaxBackend((apply, params)),
        {"ids": RNG.integers(0, 7, (N, 4)), "mask": mask, "labels": LABELS},
    )


def two_inputs() -> Problem:
    """A loss and an optimiser of the user's, weights that are constants, and data on the device."""

    def apply(
        params: Any, frozen: Any, left: Any, right: Any, *, training: bool, key: Any
    ) -> tuple[Any, Any]:
        return (jnp.tanh(left @ frozen) + right @ params["free"]) @ params["head"], frozen

    def loss(scores: Any, labels: Any) -> Any:
        return (
            optax.softmax_cross_entropy_with_integer_labels(scores, labels)
            * jnp.array([1.0, 2.0, 0.5])[labels]
        )

    params = {"free": RNG.normal(size=(2, 3)), "head": RNG.normal(size=(3, 3))}
    model = JaxModel(apply, params, RNG.normal(size=(4, 3)), statistics=False)
    native = Optimizer(name=lambda lr: optax.chain(optax.clip_by_global_norm(1.0), optax.adam(lr)))
    data = jnp.asarray(numbers(4)), jnp.asarray(numbers(2)), jnp.asarray(LABELS)
    return Problem(JaxBackend(model, loss=loss, optimizer=native), data, classifies=False)


PROBLEMS: dict[str, Callable[[], Problem]] = {
    make.__name__: make
    for make in (
        nnx_convolutional,
        linen_net,
        equinox_dropout,
        keywords,
        two_inputs,
    )
}
BUILT: dict[str, Problem] = {}


@pytest.fixture(scope="module", autouse=True)
def quick_compilation() -> Iterator[None]:
    """Compiling is what these tests spend their time on; those against the oracle run code as users
    do."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


class TestModels(BackendTests):
    @pytest.fixture(params=PROBLEMS)
    def problem(self, request: pytest.FixtureRequest) -> Problem:
        if request.param not in BUILT:
            made = PROBLEMS[request.param]()
            BUILT[request.param] = replace(
                made, checkpoint=lambda state: (state.params, state.buffers)
            )
        return BUILT[request.param]


class Normalised(nnx.Module):
    """BatchNorm, whose averages are those of the inputs, and a linear head."""

    def __init__(self, momentum: float) -> None:
        self.norm = nnx.BatchNorm(5, momentum=momentum, rngs=nnx.Rngs(0))
        self.head = nnx.Linear(5, 3, rngs=nnx.Rngs(1))

    def __call__(self, x: Any) -> Any:
        return self.head(self.norm(x))


def linen_normalised(momentum: float) -> JaxModel:
    net = linen.BatchNorm(momentum=momentum)
    variables = net.init(jax.random.key(0), jnp.ones((2, 5)), use_running_average=False)

    def apply(params: Any, stats: Any, x: Any, *, training: bool, key: Any) -> tuple[Any, Any]:
        scores, new = net.apply(
            {"params": params, "batch_stats": stats},
            x,
            use_running_average=not training,
            mutable=["batch_stats"],
        )
        return scores, new["batch_stats"]

    return JaxModel(apply, variables["params"], variables["batch_stats"])


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9, 0.99, 0.999])
@pytest.mark.parametrize("scale", [1.0, 100.0])
@pytest.mark.parametrize("make", [Normalised, linen_normalised])
def test_a_refresh_gives_the_statistics_of_the_batches(
    make: Any, momentum: float, scale: float
) -> None:
    backend = JaxBackend(make(momentum))
    x = (RNG.normal(3.0, 2.0, (64, 5)) * scale).astype(np.float32)
    batches = [(x[:32], np.zeros(32, int)), (x[32:], np.zeros(32, int))]
    state = backend.refresh_buffers(backend.initial_state(), batches)
    mean, var = jax.tree.leaves(state.buffers)[:2]
    halves = x.reshape(2, 32, 5)
    # the share 1 − m of the batch is known to one part in 2²³
    rtol = 1e-5 + 1e-6 / (1 - momentum)
    np.testing.assert_allclose(mean, halves.mean(1).mean(0), rtol=rtol)
    np.testing.assert_allclose(var, halves.var(1).mean(0), rtol=rtol)


class Silent(linen.Module):
    """Its mode has a name of its own and a default."""

    @linen.compact
    def __call__(self, x: Any, deterministic: bool = False) -> Any:
        x = linen.BatchNorm(use_running_average=deterministic)(linen.Dense(8)(x))
        x = linen.Dropout(0.3, deterministic=deterministic)(jnp.tanh(x))
        return linen.Dense(3)(x)


class Plain(linen.Module):
    @linen.compact
    def __call__(self, x: Any) -> Any:
        return linen.Dense(3)(jnp.tanh(linen.Dense(8)(x)))


class BatchState(train_state.TrainState):
    batch_stats: Any


def states(net: Any, *mode: bool) -> dict[str, Any]:
    variables = net.init(jax.random.key(0), jnp.ones((2, 5)), *mode)
    more = {name: value for name, value in variables.items() if name != "params"}
    kind = BatchState if more else train_state.TrainState
    state = kind.create(apply_fn=net.apply, params=variables["params"], tx=optax.sgd(0.1), **more)
    return {"pair": (net, variables), "apply": (net.apply, variables), "state": state}


@pytest.mark.parametrize("form", ["pair", "apply", "state"])
@pytest.mark.parametrize(("net", "mode"), [(LinenNet(), True), (Silent(), False)])
def test_a_linen_module_is_taken_with_its_variables(net: Any, mode: bool, form: str) -> None:
    given = states(net, mode)
    backend = JaxBackend(given[form])
    x, state = numbers(5), backend.initial_state()
    variables = given["pair"][1]
    expected = net.apply(variables, x, not mode)
    np.testing.assert_allclose(backend.logits(state, (x, LABELS)), expected, rtol=1e-5, atol=1e-6)
    one, two = (backend.training_losses(state, (x, LABELS), seed=seed) for seed in (0, 1))
    assert np.abs(one - two).max() > 1e-3, "no dropout in training mode"
    refreshed = backend.refresh_buffers(state, [(x, LABELS)])
    first = variables["params"]["Dense_0"]
    hidden = x @ np.asarray(first["kernel"]) + np.asarray(first["bias"])
    stats = refreshed.buffers["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(stats["mean"], hidden.mean(0), rtol=1e-3, atol=1e-4)
    stepped = backend.sgd_step(state, (x, LABELS), lr=0.1, seed=0)
    assert np.abs(stepped.buffers["batch_stats"]["BatchNorm_0"]["mean"]).max() > 0


def test_a_linen_module_without_modes_is_a_pure_function() -> None:
    given = states(Plain())
    x = numbers(5)
    for form in ("pair", "state"):
        backend = JaxBackend(given[form])
        found = backend.logits(backend.initial_state(), (x, LABELS))
        np.testing.assert_allclose(found, Plain().apply(given["pair"][1], x), rtol=1e-5, atol=1e-6)
        assert not supports(backend, SupportsBufferRefresh)


def test_a_train_state_of_another_function_is_refused() -> None:
    state = train_state.TrainState.create(
        apply_fn=lambda p, x: x @ p, params={"w": np.ones((5, 3))}, tx=optax.sgd(0.1)
    )
    with pytest.raises(InvalidModelError, match=r"apply_fn of the TrainState is no module.apply"):
        JaxBackend(state)


class Single(eqx.Module):
    """BatchNorm, whose averages are those of the inputs, and a linear head, of one sample."""

    norm: Any
    head: Any

    def __init__(self, mode: str, momentum: float) -> None:
        self.norm = eqx.nn.BatchNorm(5, axis_name="batch", mode=mode, momentum=momentum)
        self.head = eqx.nn.Linear(5, 3, key=jax.random.key(0))

    def __call__(self, x: Any, state: Any) -> Any:
        x, state = self.norm(x, state)
        return self.head(x), state


def equinox_problem(mode: str, momentum: float) -> Problem:
    model, state = eqx.nn.make_with_state(Single)(mode, momentum)
    x = (RNG.normal(3.0, 2.0, (N, 5))).astype(np.float32)
    return Problem(JaxBackend((model, state)), (x, LABELS), precision="float32")


@pytest.mark.parametrize("momentum", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("mode", ["batch", "ema"])
def test_a_refresh_of_equinox_keeps_the_laws(mode: str, momentum: float) -> None:
    problem = equinox_problem(mode, momentum)
    optional.check_refresh(problem)
    if mode == "batch":  # steps of the other mode use moving averages, not the batch's own
        optional.check_refresh_keeps_optimizer(problem)
        optional.check_refresh_is_of_the_batch(problem)


@pytest.mark.parametrize("momentum", [0.5, 0.99])
@pytest.mark.parametrize("mode", ["batch", "ema"])
def test_a_refresh_of_equinox_gives_the_statistics_of_the_batch(mode: str, momentum: float) -> None:
    problem = equinox_problem(mode, momentum)
    backend, (x, y) = problem.backend, problem.data
    state = backend.refresh_buffers(backend.initial_state(), [(x, y)])
    scores = np.asarray(backend.logits(state, (x, y)))
    weight, bias = (backend.initial_state().params[f"head.{name}"] for name in ("weight", "bias"))
    expected = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) @ np.asarray(weight).T + np.asarray(bias)
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-3)
    # without a refresh they are others
    before = np.asarray(backend.logits(backend.initial_state(), (x, y)))
    assert np.abs(before - expected).max() > 0.1
