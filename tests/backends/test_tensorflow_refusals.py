"""Models that the tensorflow backend cannot use, each refused in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import gexcore as gx
from gexcore.errors import InvalidDataError, InvalidModelError
from gexcore_tensorflow.backend import TensorFlowBackend

layers = keras.layers
X, Y = np.random.default_rng(0).normal(size=(12, 4)), np.arange(12) % 3


def followed(layer: keras.layers.Layer) -> keras.Model:
    """The layer, and a dense one after it."""
    return keras.Sequential(
        [layers.Input((4,), dtype="float64"), layer, layers.Dense(3, dtype="float64")]
    )


class Closing(tf.Module):  # type: ignore[misc]
    """Ends in a softmax that is compiled away."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = tf.Variable(np.ones((4, 3)))

    @tf.function
    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(x @ self.weight)


class Compiled(keras.layers.Layer):  # type: ignore[misc]
    """Compiles its call method, which Keras does not do."""

    def build(self, shape: tuple[int, ...]) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], 3), dtype="float64")

    @tf.function
    def call(self, x: tf.Tensor) -> tf.Tensor:
        return x @ self.kernel


class Counting(keras.layers.Layer):  # type: ignore[misc]
    """Counts its passes in a variable that Keras does not know of."""

    def build(self, shape: tuple[int, ...]) -> None:
        self.passes = tf.Variable(0)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        self.passes.assign_add(1)
        return x


class Noisy(keras.layers.Layer):  # type: ignore[misc]
    """Adds noise in training."""

    def __init__(self, noise: Callable[[Any], Any]) -> None:
        super().__init__(dtype="float64")
        self.noise = noise

    def call(self, x: Any, training: bool = False) -> Any:
        return x + self.noise((4,), dtype="float64") if training else x


def frozen(model: keras.Model) -> keras.Model:
    model.trainable = False
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (object, "takes a keras.Model or a tf.Module with __call__, not object"),
        (tf.Module, "takes a keras.Model or a tf.Module with __call__, not Module"),
        (
            lambda: keras.Sequential([layers.Dense(3)]),
            "has no weights yet; call the model on one batch first",
        ),
        (lambda: frozen(followed(layers.ReLU())), "has no trainable variables; set trainable=True"),
        (lambda: followed(Compiled(dtype="float64")), "take tf.function off its call methods"),
        (
            lambda: followed(Counting(dtype="float64")),
            "make a tf.Variable a weight with add_weight",
        ),
        (
            lambda: followed(Noisy(keras.random.normal)),
            "give keras.random functions a SeedGenerator",
        ),
        (lambda: followed(Noisy(tf.random.normal)), r"no seed can reach \(RandomStandardNormal\)"),
        (Closing, "returns probabilities from a softmax that gexcore cannot see"),
    ],
)
def test_models_that_cannot_be_used_are_refused(model: Callable[[], Any], message: str) -> None:
    with pytest.raises(InvalidModelError, match=message):
        use(TensorFlowBackend(model()))


def use(backend: TensorFlowBackend) -> None:
    state = backend.initial_state()
    backend.logits(state, (X, Y))
    backend.sgd_step(state, (X, Y), lr=0.1, seed=0)


def test_keras_on_another_framework_is_told_what_to_do() -> None:
    code = (
        "import keras\n"
        "from gexcore_tensorflow.plugin import gexcore_register_backend\n"
        "model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])\n"
        "names = {f'{c.__module__}.{c.__qualname__}' for c in type(model).__mro__}\n"
        "spec = gexcore_register_backend()\n"
        "assert names & set(spec.models)\n"
        "spec.load(spec.factory)(model)\n"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=300
    )
    assert "Keras runs on jax here, and gexcore takes Keras models on TensorFlow" in done.stderr
    assert "KERAS_BACKEND=tensorflow" in done.stderr


def test_test_data_that_the_model_cannot_take_are_told() -> None:
    x, y = X, Y
    model = followed(layers.Dense(4, dtype="float64"))
    method = gx.GEX(chains=1, snapshots=2, steps_per_snapshot=1, lr=0.01)
    found = method.fit(model, (x, y), progress=False)
    wrong = {
        r"the model cannot take this batch of the data": (x[:, :3], y),
        r"label 3 is|first at position 2; give labels of the model's classes": (x, y + 1),
    }
    for told, test in wrong.items():
        with pytest.raises(InvalidDataError, match=told):
            found.influence(test)
        with pytest.raises(InvalidDataError, match=told):
            method.fit(model, (x, y), test=test, progress=False)
