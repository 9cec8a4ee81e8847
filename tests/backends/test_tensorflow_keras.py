"""What users of Keras write: losses by Keras' names and objects, compiled models, column labels."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from gexcore.errors import InvalidModelError
from gexcore.evaluation.opening import opened

RNG = np.random.default_rng(0)
N = 48
X = RNG.normal(size=(N, 5)).astype(np.float32)
Y = np.arange(N) % 3
layers, losses = keras.layers, keras.losses
keras.utils.set_random_seed(0)
SOFTMAX = keras.Sequential([keras.Input((5,)), layers.Dense(3, activation="softmax")])
SIGMOID = keras.Sequential([keras.Input((5,)), layers.Dense(1, activation="sigmoid")])
LINEAR = keras.Sequential([keras.Input((5,)), layers.Dense(2)])


def found(model: Any, data: Any, loss: Any = None) -> Any:
    return opened(model, data, loss=loss).seen.losses


PROBABILITIES = np.asarray(SOFTMAX(X))
EXPECTED = -np.log(PROBABILITIES[np.arange(N), Y])


@pytest.mark.parametrize(
    ("loss", "target"),
    [
        ("sparse_categorical_crossentropy", Y),
        (losses.sparse_categorical_crossentropy, Y),
        (losses.SparseCategoricalCrossentropy(), Y),
        (losses.SparseCategoricalCrossentropy(), Y[:, None]),
        ("categorical_crossentropy", np.eye(3, dtype=np.float32)[Y]),
        (losses.CategoricalCrossentropy(), np.eye(3, dtype=np.int64)[Y]),
    ],
)
def test_cross_entropies_of_keras_are_that_of_gexcore(loss: Any, target: Any) -> None:
    np.testing.assert_allclose(found(SOFTMAX, (X, target), loss), EXPECTED, rtol=1e-4)
    compiled = keras.models.clone_model(SOFTMAX)
    compiled.set_weights(SOFTMAX.get_weights())
    compiled.compile(loss=loss)
    np.testing.assert_allclose(found(compiled, (X, target)), EXPECTED, rtol=1e-4)


def test_labels_in_a_column_are_labels() -> None:
    data = tf.data.Dataset.from_tensor_slices((X, Y[:, None].astype(np.uint8))).batch(8)
    seen = opened(SOFTMAX, data).seen
    np.testing.assert_allclose(seen.losses, EXPECTED, rtol=1e-4)
    np.testing.assert_array_equal(seen.labels, Y)


@pytest.mark.parametrize(
    "loss", ["binary_crossentropy", losses.BinaryCrossentropy(), losses.binary_crossentropy]
)
def test_binary_cross_entropies(loss: Any) -> None:
    y = (Y == 0).astype(np.float32)
    p = np.asarray(SIGMOID(X))[:, 0]
    expected = -np.log(np.where(y == 1, p, 1 - p))
    np.testing.assert_allclose(found(SIGMOID, (X, y), loss), expected, rtol=1e-4)


@pytest.mark.parametrize("loss", ["mse", "mean_squared_error", losses.MeanSquaredError()])
def test_squared_errors(loss: Any) -> None:
    y = RNG.normal(size=(N, 2)).astype(np.float32)
    expected = ((np.asarray(LINEAR(X)) - y) ** 2).sum(1)
    np.testing.assert_allclose(found(LINEAR, (X, y), loss), expected, rtol=1e-4)


@pytest.mark.parametrize("loss", ["mae", losses.Huber(delta=0.5), losses.Huber(reduction=None)])
def test_other_losses_of_keras_are_taken_per_sample(loss: Any) -> None:
    y = RNG.normal(size=(N, 2)).astype(np.float32)
    one_by_one = losses.get(loss) if isinstance(loss, str) else loss
    rows = [float(np.mean(one_by_one(y[i : i + 1], LINEAR(X[i : i + 1])))) for i in range(N)]
    np.testing.assert_allclose(found(LINEAR, (X, y), loss), rows, rtol=1e-4, atol=1e-6)


def test_smoothed_labels_are_not_plain_cross_entropy() -> None:
    smooth = losses.CategoricalCrossentropy(label_smoothing=0.2)
    target = np.eye(3, dtype=np.float32)[Y]
    expected = -((0.8 * target + 0.2 / 3) * np.log(PROBABILITIES)).sum(1)
    np.testing.assert_allclose(found(SOFTMAX, (X, target), smooth), expected, rtol=1e-4)


def test_a_name_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InvalidModelError, match="no loss named 'crossentropie'; allowed are"):
        found(SOFTMAX, (X, Y), "crossentropie")
