"""The tensorflow backend against the shipped laws: the oracle's toys, and real models."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from gexcore.backend.optimizer import Optimizer
from gexcore.testing import oracle
from gexcore.testing.problems import Problem, Toy
from gexcore.testing.suite import LAWS, BackendTests
from gexcore_tensorflow.backend import TensorFlowBackend
from gexcore_tensorflow.state import TensorFlowState

layers = keras.layers


class UnbiasedNormalization(layers.BatchNormalization):
    """Stores the unbiased variance, as the oracle and PyTorch do and Keras does not."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        before = self.momentum * self.moving_variance.value
        outputs = super().call(inputs, training=training, mask=mask)
        if training:
            n = tf.cast(tf.shape(inputs)[0], inputs.dtype)
            self.moving_variance.assign(
                before + (self.moving_variance.value - before) * n / (n - 1)
            )
        return outputs


def perceptron(toy: Toy) -> keras.Model:
    """The toy's model in Keras."""
    dtype = toy.precision
    model = keras.Sequential([layers.Input((toy.model.sizes[0],), dtype=dtype)])
    values: list[Any] = []
    last = len(toy.model.weights) - 1
    for i, (weight, bias) in enumerate(zip(toy.model.weights, toy.model.biases, strict=True)):
        model.add(layers.Dense(len(bias), dtype=dtype))
        values += [weight, bias]
        if i < last and toy.model.batch_norm is not None:
            norm = toy.model.batch_norm[i]
            model.add(UnbiasedNormalization(momentum=0.9, epsilon=1e-5, dtype=dtype))
            values += [norm.scale, norm.offset, norm.mean, norm.var]
        if i < last:
            model.add(layers.Activation(toy.model.activation, dtype=dtype))
    model.set_weights(values)
    return model


def checkpoint(backend: TensorFlowBackend, state: TensorFlowState) -> list[Any]:
    """What `get_weights` would give in a training of one's own."""
    network = backend._network
    variables = [*network.trainable, *network.stored]
    values = {
        id(v): value.numpy()
        for v, value in zip(variables, [*state.params, *state.buffers], strict=True)
    }
    return [values[id(v)] for v in network.weights]


class TestOracle(BackendTests):
    def build(self, toy: Toy) -> TensorFlowBackend:
        return TensorFlowBackend(perceptron(toy), loss=toy.loss, optimizer=toy.optimizer)

    def checkpoint(self, backend: TensorFlowBackend, state: TensorFlowState) -> list[Any]:
        return checkpoint(backend, state)


class TestSelected(TestOracle):
    """A backend of some parameters is a backend."""

    laws = tuple(law for law in LAWS if law not in oracle.LAWS)
    toys = ("tanh", "relu_batch_norm", "float32_adamw")

    def build(self, toy: Toy) -> TensorFlowBackend:
        backend = super().build(toy)
        return backend.select(list(backend.parameter_names())[::3])


def convolutions() -> keras.Model:
    """Convolutions, batch normalisation and dropout, ending in a softmax."""
    keras.utils.set_random_seed(3)
    stack = [
        layers.Conv2D(4, 3, use_bias=False, dtype="float64"),
        layers.BatchNormalization(dtype="float64"),
        layers.ReLU(dtype="float64"),
        layers.Dropout(0.3, dtype="float64"),
        layers.GlobalAveragePooling2D(dtype="float64"),
        layers.Dense(3, activation="softmax", dtype="float64"),
    ]
    return keras.Sequential([layers.Input((6, 6, 2), dtype="float64"), *stack])


class TestConvolutions(BackendTests):
    @pytest.fixture(scope="class")
    @classmethod
    def problem(cls) -> Problem:
        rng = np.random.default_rng(0)
        data = rng.normal(size=(20, 6, 6, 2)), np.arange(20) % 3
        backend = TensorFlowBackend(convolutions())
        return Problem(backend, data, stochastic=True, checkpoint=partial(checkpoint, backend))


class Net(tf.Module):  # type: ignore[misc]
    """A plain module that counts its training passes, compiled by its author."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(1)
        self.weights = [tf.Variable(rng.normal(size=shape)) for shape in ((4, 6), (6, 3))]
        self.steps = tf.Variable(0, trainable=False)

    @tf.function
    def __call__(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        if training:
            self.steps.assign_add(1)
        return tf.tanh(x @ self.weights[0]) @ self.weights[1]


class TestModule(BackendTests):
    @pytest.fixture(scope="class")
    @classmethod
    def problem(cls) -> Problem:
        data = np.random.default_rng(0).normal(size=(20, 4)), np.arange(20) % 3
        backend = TensorFlowBackend(Net())
        return Problem(backend, data, checkpoint=partial(checkpoint, backend))


class TestNativeOptimizer(BackendTests):
    @pytest.fixture(scope="class")
    @classmethod
    def problem(cls) -> Problem:
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [layers.Input((4,)), layers.Dense(6, activation="tanh"), layers.Dense(2)]
        )
        rng = np.random.default_rng(0)
        data = (
            rng.normal(size=(20, 4)).astype("float32"),
            rng.normal(size=(20, 2)).astype("float32"),
        )
        backend = TensorFlowBackend(
            model, loss="squared_error", optimizer=Optimizer(name=keras.optimizers.Adam)
        )
        return Problem(backend, data, precision="float32", classifies=False)


def test_tensorflow_runs_without_the_other_frameworks() -> None:
    assert not {"torch", "gexcore_torch", "gexcore_jax"} & set(sys.modules)
