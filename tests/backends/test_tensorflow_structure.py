"""A store tells models apart that have the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from gexcore.backend import Optimizer
from gexcore.backend.structure import structure_of
from gexcore_tensorflow.backend import TensorFlowBackend


def sequential(value: float) -> Any:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.LeakyReLU(negative_slope=value), keras.layers.Dropout(0.1)]
    return keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4), *layers, keras.layers.Dense(2)]
    )


def functional(value: float) -> Any:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    hidden = keras.layers.Dropout(value)(keras.layers.Dense(4)(inputs))
    return keras.Model(inputs, keras.layers.Dense(2)(hidden))


class Net(keras.Model):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.layer = keras.layers.Dense(2)
        self.value = value

    def call(self, x: Any) -> Any:
        return self.value * self.layer(x)


def subclassed(value: float) -> Any:
    keras.utils.set_random_seed(0)
    net = Net(value)
    net(np.ones((1, 3)))
    return net


class Module(tf.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.w = tf.Variable(np.ones((3, 2), np.float32))
        self.value = value

    def __call__(self, x: Any) -> Any:
        return self.value * (x @ self.w)


MAKERS: dict[str, Callable[[float], Any]] = {
    "sequential": sequential,
    "functional": functional,
    "subclassed": subclassed,
    "tf.Module": Module,
}


@pytest.mark.parametrize("kind", MAKERS)
def test_equal_models_have_one_digest_and_settings_count(kind: str) -> None:
    one, same, other = (
        structure_of(TensorFlowBackend(MAKERS[kind](value)).structure())
        for value in (0.1, 0.1, 0.2)
    )
    assert not one.unread
    assert one == same, "the names that Keras counts up are no part of a model"
    assert one.digest != other.digest


@pytest.mark.parametrize("kind", MAKERS)
def test_chosen_parameters_and_another_optimizer_leave_the_digest(kind: str) -> None:
    # a store compares both by themselves
    backend = TensorFlowBackend(MAKERS[kind](0.1))
    whole = structure_of(backend.structure())
    last = [*backend.parameter_names()][-1:]
    for other in (backend.select(last), backend.with_optimizer(Optimizer(momentum=0.5))):
        assert structure_of(other.structure()) == whole
