"""Parameters by name, and checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from gexcore.backend.capabilities import supports
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import SupportsFeatures, SupportsKronecker
from gexcore.errors import InvalidModelError, InvalidSettingError
from gexcore_tensorflow.backend import TensorFlowBackend

layers = keras.layers
X = np.random.default_rng(0).normal(size=(8, 5)).astype("float32")
BATCH = (X, np.arange(8) % 3)


def network(seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [layers.Input((5,)), layers.Dense(4, name="hidden"), layers.BatchNormalization(name="norm")]
    )
    model.add(layers.ReLU())
    model.add(layers.Dropout(0.5))  # whose generator is no part of a checkpoint
    model.add(layers.Dense(3, name="head"))
    model.set_weights(
        [np.random.default_rng(seed).uniform(0.1, 1.0, w.shape) for w in model.get_weights()]
    )
    return model


SIZES = {
    "hidden/kernel": 20,
    "hidden/bias": 4,
    "norm/gamma": 4,
    "norm/beta": 4,
    "head/kernel": 12,
    "head/bias": 3,
}


def called(model: keras.Model, *names: str) -> list[str]:
    """The names with what comes before them in this model."""
    prefix = model.trainable_variables[0].path.removesuffix("hidden/kernel")
    return [prefix + name for name in names]


class Module(tf.Module):  # type: ignore[misc]
    """Two weights, one of which is in use twice, and a count of the training passes."""

    def __init__(self, start: float = 1.0) -> None:
        super().__init__()
        self.layers = [
            tf.Variable(start * np.eye(5, dtype="float32")),
            tf.Variable(start * np.ones((5, 3), "float32")),
        ]
        self.same, self.passes = self.layers[0], tf.Variable(0, trainable=False)

    @tf.function
    def __call__(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        if training:
            self.passes.assign_add(1)
        return x @ self.layers[0] @ self.same @ self.layers[1]


class TestSelection:
    def test_names_are_paths_in_the_order_of_the_flat_vector(self) -> None:
        model = network()
        names = dict(zip(called(model, *SIZES), SIZES.values(), strict=True))
        assert list(TensorFlowBackend(model).parameter_names().items()) == list(names.items())
        model.layers[1].trainable = False
        assert [n.split("/", 1)[1] for n in TensorFlowBackend(model).parameter_names()] == [
            name for name in SIZES if "norm" not in name
        ]

    def test_equal_paths_are_told_apart(self) -> None:
        class Equal(keras.Model):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__(name="equal")
                self.parts = [
                    layers.Dense(3, use_bias=False, name=name) for name in ("a", "a", "b")
                ]

            def call(self, x: Any) -> Any:
                return sum(part(x) for part in self.parts)

        model = Equal()
        model(X)
        backend = TensorFlowBackend(model)
        assert list(backend.parameter_names()) == [
            "equal/a/kernel",
            "equal/a/kernel_2",
            "equal/b/kernel",
        ]
        second = backend.select(["equal/a/kernel_2"])
        assert np.array_equal(
            second.ravel(second.initial_state()), model.parts[1].kernel.numpy().ravel()
        )

    def test_names_of_a_plain_module_are_those_of_its_attributes(self) -> None:
        backend = TensorFlowBackend(Module())
        assert backend.parameter_names() == {"layers/0": 25, "layers/1": 15}
        selected = backend.select(["layers/1"])
        state = selected.sgd_step(selected.initial_state(), BATCH, lr=0.1, seed=0)
        once = backend.sgd_step(backend.initial_state(), BATCH, lr=0.1, seed=0)
        assert np.array_equal(selected.ravel(state), backend.ravel(once)[25:])
        assert np.array_equal(backend.ravel(backend.initial_state())[:25], np.eye(5).ravel())

    @pytest.mark.parametrize(
        "optimizer",
        [
            Optimizer(momentum=0.9, weight_decay=0.5),
            Optimizer(name="adamw", weight_decay=0.5),
            Optimizer(name=lambda: keras.optimizers.Adam(weight_decay=0.5)),
        ],
    )
    def test_steps_leave_the_others_bit_for_bit(self, optimizer: Optimizer) -> None:
        model = network()
        before, flags = model.get_weights(), [v.trainable for v in model.variables]
        backend = TensorFlowBackend(model, optimizer=optimizer)
        expected = backend.ravel(backend.sgd_step(backend.initial_state(), BATCH, lr=0.1, seed=0))
        hidden, head = called(model, "hidden/bias", "head/kernel")
        selected = backend.select({head, hidden})
        state = selected.initial_state()
        for step in range(3):
            state = selected.sgd_step(state, BATCH, lr=0.1, seed=step)
        assert [tuple(p.shape) for p in state.params] == [(4,), (4, 3)]
        assert {tuple(slot.shape) for slot in state.memory.slots} <= {(4,), (4, 3), ()}
        # the statistics of the batch normalisation come first, and move
        assert all(
            a is b
            for a, b in zip(state.buffers[2:], selected.initial_state().buffers[2:], strict=True)
        )
        assert all(
            np.array_equal(now, then) for now, then in zip(model.get_weights(), before, strict=True)
        )
        assert [v.trainable for v in model.variables] == flags
        again = backend.ravel(backend.sgd_step(backend.initial_state(), BATCH, lr=0.1, seed=0))
        assert np.array_equal(again, expected)

    def test_a_selection_can_be_selected_from(self) -> None:
        model = network()
        hidden, head = called(model, "hidden/bias", "head/kernel")
        selected = TensorFlowBackend(model, loss="squared_error").select([head, hidden])
        assert list(selected.parameter_names()) == [hidden, head]
        twice = selected.select([head])
        batch = X, np.zeros((8, 3))
        states = [backend.initial_state() for backend in (selected, twice)]
        assert np.array_equal(selected.forward(states[0], batch), twice.forward(states[1], batch))
        with pytest.raises(
            InvalidSettingError,
            match=f"no trainable parameter is named '{hidden}'; choose from '{head}'$",
        ):
            twice.select([hidden])

    def test_capabilities_are_those_of_what_is_left(self) -> None:
        model = network()
        selected = TensorFlowBackend(model).select(called(model, "head/bias"))
        assert not supports(selected, SupportsKronecker)
        assert supports(selected, SupportsFeatures)
        bare = TensorFlowBackend(model).select(called(model, "head/kernel"))
        (block,) = bare.kronecker(bare.initial_state(), BATCH, seed=None)
        assert block.positions.tolist() == np.arange(12).reshape(4, 3).T.tolist()

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (
                [],
                "no parameters were chosen; choose from '.*hidden/kernel', '.*hidden/bias'",
            ),
            (["head"], "no trainable parameter is named 'head'; choose from '.*hidden/kernel'"),
            ("head/bias", "no trainable parameter is named '/'; choose from"),
        ],
    )
    def test_wrong_names_are_refused(self, names: Any, message: str) -> None:
        with pytest.raises(InvalidSettingError, match=message):
            TensorFlowBackend(network()).select(names)


def test_frozen_parameters_count_in_the_size_and_statistics_do_not() -> None:
    model, size = network(), sum(SIZES.values())
    assert TensorFlowBackend(model).model_size() == size
    for layer in model.layers[:2]:  # the hidden layer and the normalisation
        layer.trainable = False
        backend = TensorFlowBackend(model)
        assert sum(backend.parameter_names().values()) < size
        assert backend.model_size() == size
        assert backend.select(list(backend.parameter_names())[-1:]).model_size() == size
    assert TensorFlowBackend(Module()).model_size() == 25 + 15  # and no count of the passes


class TestCheckpoints:
    @pytest.mark.parametrize(
        "form",
        [
            lambda m: m,
            lambda m: m.get_weights(),
            lambda m: tuple(w.astype("float64") for w in m.get_weights()),
            lambda m: [w.value for w in m.weights],
        ],
    )
    def test_parameters_and_buffers_are_those_of_the_checkpoint(
        self, form: Callable[[Any], Any]
    ) -> None:
        other = network(1)
        twin = TensorFlowBackend(other)
        expected = twin.forward(twin.initial_state(), BATCH)
        backend = TensorFlowBackend(network(), optimizer=Optimizer(momentum=0.9))
        given = form(other)
        state = backend.load(given)
        for weight in other.weights:
            weight.assign(0 * weight)
        for array in given if isinstance(given, list) and isinstance(given[0], np.ndarray) else []:
            array[...] = 0
        assert np.array_equal(backend.forward(state, BATCH), expected)
        stepped = backend.sgd_step(backend.load(network(1)), BATCH, lr=0.1, seed=0)
        assert stepped.memory.steps == 1
        assert not np.array_equal(backend.forward(stepped, BATCH), expected)
        assert np.array_equal(backend.forward(state, BATCH), expected)

    def test_frozen_parameters_come_along_and_stay(self) -> None:
        model, other = network(), network(1)
        whole = TensorFlowBackend(model)
        selected = whole.select(called(model, "head/kernel"))
        state = selected.load(other)
        expected = whole.forward(whole.load(other), BATCH)
        assert np.array_equal(selected.forward(state, BATCH), expected)
        for derived in (selected.restart(state), selected.unravel(state, selected.ravel(state))):
            assert np.array_equal(selected.forward(derived, BATCH), expected)
        start = whole.forward(whole.initial_state(), BATCH)
        assert np.array_equal(selected.forward(selected.initial_state(), BATCH), start)

    def test_of_a_plain_module(self) -> None:
        backend, other = TensorFlowBackend(Module()), TensorFlowBackend(Module(2.0))
        expected = other.forward(other.initial_state(), BATCH)
        for given in (Module(2.0), [v.numpy() for v in Module(2.0).variables]):
            assert np.array_equal(backend.forward(backend.load(given), BATCH), expected)
        selected = backend.select(["layers/1"])
        assert np.array_equal(selected.forward(selected.load(Module(2.0)), BATCH), expected)

    @pytest.mark.parametrize(
        "given", ["model.keras", Path("model.weights.h5"), {"hidden": X}, None, X]
    )
    def test_files_are_not_read(self, given: Any) -> None:
        told = (
            f"a checkpoint of type {type(given).__name__} was given; files are not read here: "
            ".*load_model"
        )
        with pytest.raises(InvalidModelError, match=told):
            TensorFlowBackend(network()).load(given)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (keras.Sequential([layers.Input((5,)), layers.Dense(3)]),
                r"\(it has 2 arrays for 8 weights\); give the weights"),
            (keras.Sequential([layers.Dense(3)]), r"\(it has 0 arrays for 8 weights\)"),
            ([np.zeros((5, 3)), *network().get_weights()[1:]],
                r"hidden/kernel has shape \(5, 4\), and \(5, 3\) in it\)"),
            ([*network().get_weights()[:-1], "zero"],
                "what it has for .*head/bias is no array of numbers"),
            ([[[1.0], [1.0, 2.0]], *network().get_weights()[1:]],
                "what it has for .*hidden/kernel is no array of numbers"),
        ],
    )  # fmt: skip
    def test_what_does_not_fit_is_refused_in_one_sentence(self, given: Any, message: str) -> None:
        with pytest.raises(
            InvalidModelError, match=f"the checkpoint does not fit the model .*{message}"
        ) as caught:
            TensorFlowBackend(network()).load(given)
        assert "\n" not in str(caught.value)
