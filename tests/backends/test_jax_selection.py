"""Parameters by name, and checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx
from flax.training import train_state

from gexcore.backend.optimizer import Optimizer
from gexcore.errors import InvalidModelError, InvalidSettingError
from gexcore_jax import JaxModel
from gexcore_jax.backend import JaxBackend

# this process alone: the package never touches JAX's configuration
jax.config.update("jax_enable_x64", True)

X = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
BATCH = (X, np.arange(8) % 3)


class Net(nnx.Module):
    def __init__(self, seed: int = 0, *, width: int = 4) -> None:
        rngs = nnx.Rngs(seed)
        self.layers = nnx.List([nnx.Linear(5, width, rngs=rngs), nnx.Linear(width, 3, rngs=rngs)])
        self.norm = nnx.BatchNorm(width, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.layers[1](self.dropout(nnx.relu(self.norm(self.layers[0](x)))))


class Alone(nnx.Module):
    def __init__(self, seed: int = 0) -> None:
        self.head = nnx.Linear(5, 3, rngs=nnx.Rngs(seed))

    def __call__(self, x: Any) -> Any:
        return self.head(x)


def mlp(seed: int = 0) -> eqx.nn.MLP:
    return eqx.nn.MLP(5, 3, 4, 1, key=jax.random.key(seed))


def dense(p: Any, x: Any) -> Any:
    for layer in p["layers"]:
        x = jnp.tanh(x @ layer[0] + layer[1])
    return x @ p["head"]


def arrays(seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    layers = [
        (rng.normal(size=(5, 4)), rng.normal(size=4)),
        (rng.normal(size=(4, 4)), rng.normal(size=4)),
    ]
    return {"layers": layers, "head": rng.normal(size=(4, 3))}


def moving(p: Any, mean: Any, x: Any, *, training: bool, key: Any) -> tuple[Any, Any]:
    return (x - mean) @ p["w"], 0.9 * mean + 0.1 * x.mean(0) if training else mean


ONES, EYE = {"w": np.ones((5, 3))}, {"w": np.eye(5, 3)}


class Normed(nnx.Module):
    def __init__(self, seed: int = 0) -> None:
        self.norm = nnx.BatchNorm(5, rngs=nnx.Rngs(0))
        self.norm.mean[...] = jnp.full(5, float(seed))
        self.dropout = nnx.Dropout(0.1, rngs=nnx.Rngs(0))
        self.head = nnx.Linear(5, 3, rngs=nnx.Rngs(seed))

    def __call__(self, x: Any) -> Any:
        return self.head(self.dropout(self.norm(x)))


class NormedLinen(linen.Module):
    @linen.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        return linen.Dense(3)(linen.BatchNorm(use_running_average=not train)(x))


class WithStatistics(train_state.TrainState):
    batch_stats: Any = None


def of_linen(seed: int) -> tuple[Any, Any, Any]:
    net = NormedLinen()
    variables = net.init(jax.random.key(seed), X)
    moved = jax.tree.map(lambda mean: mean + seed, variables["batch_stats"])
    state = WithStatistics.create(
        apply_fn=net.apply, params=variables["params"], tx=optax.sgd(0.1), batch_stats=moved
    )
    return net, {**variables, "batch_stats": moved}, state


class NormedEquinox(eqx.Module):
    norm: eqx.nn.BatchNorm
    head: eqx.nn.Linear

    def __init__(self, seed: int) -> None:
        self.norm = eqx.nn.BatchNorm(5, "batch", mode="batch")
        self.head = eqx.nn.Linear(5, 3, key=jax.random.key(seed))

    def __call__(self, x: Any, state: Any) -> Any:
        x, state = self.norm(x, state)
        return self.head(x), state


def of_equinox(seed: int) -> Any:
    return eqx.nn.make_with_state(NormedEquinox)(seed)


def of_haiku(seed: int) -> Any:
    def net(x: Any) -> Any:
        mean = hk.get_state("mean", (5,), init=hk.initializers.Constant(float(seed)))
        return hk.Linear(3)(x - mean)

    made = hk.transform_with_state(net)
    return made, *made.init(jax.random.key(seed), X)


FORMS: dict[str, tuple[Any, Any]] = {
    "equinox": (of_equinox, None),
    "linen": (lambda seed: of_linen(seed)[:2], None),
    "linen variables": (lambda seed: of_linen(seed)[:2], lambda model: model[1]),
    "train state": (lambda seed: of_linen(seed)[2], None),
    "nnx state": (Normed, nnx.state),
    "nnx split": (Normed, nnx.split),
    "haiku": (of_haiku, None),
}
"""Models with statistics by their seed, and what is a checkpoint of one."""


class TestNames:
    @pytest.mark.parametrize(
        ("model", "names"),
        [
            (
                Net(),
                "layers.0.bias layers.0.kernel layers.1.bias layers.1.kernel norm.bias norm.scale",
            ),
            (mlp(), "layers.0.weight layers.0.bias layers.1.weight layers.1.bias"),
            ((dense, arrays()), "head layers.0.0 layers.0.1 layers.1.0 layers.1.1"),
            ((dense, jnp.ones((5, 3))), "params"),
            ((dense, {"a": {"b": jnp.ones(2)}, "a.b": jnp.ones(3)}), "['a']['b'] ['a.b']"),
        ],
    )
    def test_are_paths_in_the_order_of_the_vector(self, model: Any, names: str) -> None:
        backend = JaxBackend(model)
        state = backend.initial_state()
        sizes = [leaf.size for leaf in jax.tree.leaves(state.params)]
        assert list(backend.parameter_names().items()) == list(
            zip(names.split(), sizes, strict=True)
        )
        assert sum(sizes) == backend.ravel(state).size

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (
                [],
                r"no parameters were chosen; choose from 'layers.0.weight', 'layers.0.bias', "
                r"'layers.1.w",
            ),
            (
                ["layers.0.bias", "bias"],
                "no trainable parameter is named 'bias'; choose from 'layers.0.weight', ",
            ),
        ],
    )
    def test_that_are_not_there(self, names: Any, message: str) -> None:
        with pytest.raises(InvalidSettingError, match=message):
            JaxBackend(mlp()).select(names)

    def test_that_were_not_chosen_before(self) -> None:
        selected = JaxBackend(mlp()).select(["layers.1.bias", "layers.0.bias"])
        assert list(selected.select(["layers.1.bias"]).parameter_names()) == ["layers.1.bias"]
        with pytest.raises(
            InvalidSettingError,
            match=r"'layers.0.weight'; choose from 'layers.0.bias', 'layers.1.bias'$",
        ):
            selected.select(["layers.0.weight"])


@pytest.mark.parametrize(
    "optimizer",
    [
        Optimizer(weight_decay=0.5),
        Optimizer(name="adamw", weight_decay=0.5),
        Optimizer(name=lambda lr: optax.adamw(lr)),
    ],
)
def test_steps_leave_the_others_bit_for_bit(optimizer: Optimizer) -> None:
    backend = JaxBackend(Net(), optimizer=optimizer)
    selected = backend.select({"layers.1.kernel", "norm.bias"})
    start = selected.initial_state()
    state = selected.copy(start)
    for step in range(3):
        state, _ = selected.sgd_step_(state, BATCH, lr=0.1, seed=step)
    assert list(state.params) == ["layers.1.kernel", "norm.bias"]
    assert all((state.params[name] != start.params[name]).any() for name in state.params)
    frozen, moments = state.buffers
    assert set(frozen) | set(state.params) == set(backend.parameter_names())
    # not even a copy of them
    assert all(leaf is backend.initial_state().params[name] for name, leaf in frozen.items())
    assert any((new != old).any() for new, old in zip(moments, start.buffers[1], strict=True))
    assert all(leaf.shape in {(), (4,), (4, 3)} for leaf in jax.tree.leaves(state.memory))
    stacked = selected.stack([start, state])
    assert [leaf is None for leaf in stacked.own] == [True] * len(frozen) + [False] * 2


def test_frozen_matrices_count_in_the_size_and_statistics_do_not() -> None:
    class Frozen(nnx.Variable):  # type: ignore[type-arg]
        pass

    net = Net()
    backend = JaxBackend(net)
    size = 5 * 4 + 4 + 4 * 3 + 3 + 4 + 4
    assert backend.model_size() == size == sum(backend.parameter_names().values())
    assert backend.select(["norm.bias"]).model_size() == size
    net.layers[0].kernel = Frozen(net.layers[0].kernel[...])
    frozen = JaxBackend(net)
    assert sum(frozen.parameter_names().values()) == size - 20
    assert frozen.model_size() == size

    def apply(p: Any, kept: Any, x: Any, *, training: bool, key: Any) -> tuple[Any, Any]:
        return x @ kept["body"] @ p, kept

    kept = {"body": np.ones((5, 4)), "mean": np.ones((1, 1, 1, 9)), "seen": np.ones((3, 3), int)}
    assert JaxBackend(JaxModel(apply, np.ones((4, 3)), kept)).model_size() == 12 + 20


def test_the_backend_selected_from_stays_as_it_was() -> None:
    backend = JaxBackend(Net())
    before = np.asarray(
        backend.ravel(backend.sgd_step(backend.initial_state(), BATCH, lr=0.1, seed=0))
    )
    selected = backend.select(["norm.bias"])
    selected.sgd_step(selected.initial_state(), BATCH, lr=0.1, seed=0)
    after = backend.ravel(backend.sgd_step(backend.initial_state(), BATCH, lr=0.1, seed=0))
    np.testing.assert_array_equal(after, before)


def test_what_apply_returns_is_told_of_a_selected_backend_too() -> None:
    model = JaxModel(
        lambda p, b, x, *, training, key: x @ p["w"] + p["b"],
        {"w": np.ones((5, 3)), "b": np.ones(3)},
    )
    selected = JaxBackend(model).select(["b"])
    with pytest.raises(
        InvalidModelError,
        match=r"apply returned .*; that of a JaxModel must return \(scores, buffers\)",
    ):
        selected.forward(selected.initial_state(), BATCH)


class TestCheckpoints:
    @pytest.mark.parametrize(
        ("model", "checkpoint", "wanted"),
        [
            (Net(), Net(1), Net(1)),
            (mlp(), mlp(1), mlp(1)),
            (mlp(), eqx.nn.inference_mode(mlp(1)), mlp(1)),
            (Alone(), nnx.to_pure_dict(nnx.state(Alone(1), nnx.Param)), Alone(1)),
            ((dense, arrays()), (dense, arrays(1)), (dense, arrays(1))),
            ((dense, arrays()), arrays(1), (dense, arrays(1))),
            # as files bring them back
            (
                (dense, arrays()),
                {**arrays(1), "layers": list(map(list, arrays(1)["layers"]))},
                (dense, arrays(1)),
            ),
            (
                JaxModel(moving, ONES, np.zeros(5)),
                JaxModel(moving, EYE, np.ones(5)),
                JaxModel(moving, EYE, np.ones(5)),
            ),
            (
                JaxModel(moving, ONES, np.zeros(5)),
                (EYE, np.ones(5)),
                JaxModel(moving, EYE, np.ones(5)),
            ),
            (
                JaxModel(moving, ONES, np.ones(5), statistics=False),
                EYE,
                JaxModel(moving, EYE, np.ones(5)),
            ),
        ],
    )
    def test_are_models_or_their_arrays(self, model: Any, checkpoint: Any, wanted: Any) -> None:
        backend = JaxBackend(model)
        start = backend.initial_state()
        state = backend.load(checkpoint)
        assert jax.tree.structure(state) == jax.tree.structure(start)
        assert [leaf.dtype for leaf in jax.tree.leaves(state)] == [
            leaf.dtype for leaf in jax.tree.leaves(start)
        ]
        names = list(backend.parameter_names())
        selected = backend.select(names[:1])
        same = selected.load(checkpoint)
        expected = JaxBackend(wanted)
        losses = expected.forward(expected.initial_state(), BATCH)
        np.testing.assert_allclose(backend.forward(state, BATCH), losses, rtol=1e-5)
        np.testing.assert_allclose(selected.forward(same, BATCH), losses, rtol=1e-5)
        stepped = backend.sgd_step(state, BATCH, lr=0.1, seed=0)
        assert (np.asarray(backend.ravel(stepped)) != np.asarray(backend.ravel(state))).any()

    @pytest.mark.parametrize("form", FORMS)
    def test_with_statistics_have_every_form_of_a_model(self, form: str) -> None:
        make, checkpoint_of = FORMS[form]
        backend, wanted = JaxBackend(make(0)), JaxBackend(make(1))
        other = make(1)
        found = backend.load(other if checkpoint_of is None else checkpoint_of(other))
        losses = wanted.forward(wanted.initial_state(), BATCH)
        np.testing.assert_allclose(backend.forward(found, BATCH), losses, rtol=1e-5)
        assert not np.allclose(backend.forward(backend.initial_state(), BATCH), losses)
        with pytest.raises(InvalidModelError, match=r"has no batch statistics|does not fit"):
            backend.load(found.params if form != "haiku" else {})

    def test_and_models_leave_the_state_of_equinox_usable(self) -> None:
        model, state = of_equinox(0)
        for _ in range(2):
            JaxBackend((model, state))
        count = model.norm.batch_counter
        JaxBackend((model, state.set(count, state.get(count))))
        with pytest.raises(InvalidModelError, match="give the state that the last call returned"):
            JaxBackend((model, state))

    def test_that_are_no_models_are_told_before_their_statistics(self) -> None:
        backend = JaxBackend(JaxModel(moving, ONES, np.zeros(5)))
        with pytest.raises(InvalidModelError, match="does not fit the model"):
            backend.load({"others": np.zeros(3)})

    def test_are_copied(self) -> None:
        given = arrays(1)
        backend = JaxBackend((dense, arrays()))
        state = backend.load(given)
        before = np.asarray(backend.forward(state, BATCH))
        given["head"][:] = np.nan
        np.testing.assert_array_equal(backend.forward(state, BATCH), before)

    @pytest.mark.parametrize(
        ("model", "checkpoint", "message"),
        [
            (Net(), Net(width=6),
                r"it has an array of shape \(6,\) for 'layers.0.bias', where the model has an "
r"array of shape \(4,\)"),
            (Alone(), Net(),
                "it has nothing for 'head.bias', where the model has an array of shape"),
            (mlp(), Alone(), "it has nothing for 'layers.0.weight'"),
            ((dense, arrays()), {**arrays(), "more": 1.0},
                r"it has an array of shape \(\) for 'more', where the model has nothing"),
            ((dense, arrays()), {**arrays(), "head": "text"},
                "it has str for 'head', where the model has an array"),
            ((dense, arrays()), "weights.npz",
                "a checkpoint of type str was given; files are not read here: give the model"),
            (JaxModel(moving, ONES, np.zeros(5)), Path("weights"),
                "a checkpoint of type .*Path was given; files are not read here"),
            (JaxModel(moving, ONES, np.zeros(5)), ONES,
                r"has no batch statistics.*; give \(params, buffers\)"),
            (JaxModel(moving, ONES, np.zeros(5)), (ONES, np.zeros(4)),
                r"shape \(4,\) for 'params'"),
        ],
    )  # fmt: skip
    def test_that_do_not_fit(self, model: Any, checkpoint: Any, message: str) -> None:
        with pytest.raises(InvalidModelError, match=message):
            JaxBackend(model).load(checkpoint)
