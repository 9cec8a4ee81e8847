"""Data in TensorFlow's own forms."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from gexcore.backend.data import as_dataset
from gexcore.errors import InvalidDataError
from gexcore.testing.datasets import check_dataset
from gexcore_numpy import MLP, NumpyBackend
from gexcore_tensorflow.backend import TensorFlowBackend

N = 7
X = np.random.default_rng(0).normal(size=(N, 4)).astype("float32")
Y = np.arange(N) % 3
PAIRS = tf.data.Dataset.from_tensor_slices((X, Y))
SOFT = np.eye(3, dtype="float32")[Y]


@pytest.fixture(scope="module")
def backend() -> TensorFlowBackend:
    return TensorFlowBackend(keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)]))


@pytest.mark.parametrize(
    "data",
    [
        PAIRS,
        PAIRS.batch(3),
        PAIRS.batch(1, drop_remainder=True),
        PAIRS.batch(3).prefetch(2).cache(),
        PAIRS.filter(lambda x, y: True).apply(tf.data.experimental.assert_cardinality(N)),
        (tf.constant(X), tf.constant(Y)),
    ],
    ids=["samples", "batches", "full_batches", "cached", "asserted", "tensors"],
)
def test_positions_are_the_order_of_reading(backend: TensorFlowBackend, data: Any) -> None:
    dataset = as_dataset(data, backend)
    check_dataset(dataset)
    x, y = dataset.batch(np.array([6, 0, 3]))
    assert np.array_equal(x, X[[6, 0, 3]])
    assert np.array_equal(y, Y[[6, 0, 3]])


def test_soft_labels_and_mappings_and_several_inputs(backend: TensorFlowBackend) -> None:
    soft = as_dataset(tf.data.Dataset.from_tensor_slices((X, SOFT)), backend)
    assert len(soft) == N
    for data in (
        tf.data.Dataset.from_tensor_slices({"image": X, "label": Y}),
        tf.data.Dataset.from_tensor_slices(({"image": X}, Y)).batch(2),
        {"image": tf.constant(X), "label": tf.constant(Y)},
    ):
        named = as_dataset(data, backend)
        check_dataset(named)
        assert np.array_equal(named.batch(np.array([2]))["image"], X[[2]])
    several = as_dataset(tf.data.Dataset.from_tensor_slices(((X, -X), Y)), backend)
    first, second, _ = several.batch(np.array([1, 4]))
    assert np.array_equal(first, -second)


def test_the_same_losses_from_every_form(backend: TensorFlowBackend) -> None:
    state = backend.initial_state()
    expected = backend.forward(state, (X.astype("float64"), Y))
    forms: list[Any] = [
        PAIRS.batch(2),
        (tf.constant(X), tf.constant(Y)),
        tf.data.Dataset.from_tensor_slices({"image": X, "label": Y}),
    ]
    for data in forms:
        assert np.array_equal(
            backend.forward(state, as_dataset(data, backend).batch(np.arange(N))), expected
        )
    assert np.array_equal(backend.forward(state, (tf.constant(X), tf.constant(Y))), expected)


def test_other_data_is_left_to_the_core(backend: TensorFlowBackend) -> None:
    assert backend.dataset((X, Y)) is None
    assert backend.dataset({"x": X, "y": Y}) is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (PAIRS.repeat(), "does not say that it ends; leave repeat"),
        (PAIRS.filter(lambda x, y: True), "assert_cardinality"),
        (PAIRS.shuffle(N).batch(2), "position i is not your sample i; leave shuffle out"),
        (PAIRS.shuffle(N, seed=1, reshuffle_each_iteration=False), "leave shuffle out"),
        (tf.data.Dataset.from_tensor_slices(X), r"give elements \(x, y\), or mappings"),
        (
            PAIRS.map(lambda x, y: (tf.RaggedTensor.from_row_lengths(x, [1, 3]), y)),
            "of dense tensors",
        ),
        (PAIRS.map(lambda x, y: (x[:y], y)), "have unequal shapes; pad them to one shape"),
        (PAIRS.take(0), "the data has no samples"),
    ],
    ids=[
        "endless",
        "unknown",
        "shuffled",
        "shuffled once",
        "inputs",
        "ragged",
        "unequal",
        "empty",
    ],
)
def test_datasets_without_positions_are_refused(
    backend: TensorFlowBackend, data: Any, message: str
) -> None:
    with pytest.raises(InvalidDataError, match=message):
        as_dataset(data, backend)


@pytest.mark.parametrize("data", [PAIRS, PAIRS.batch(3)], ids=["samples", "batches"])
def test_a_model_of_another_framework_reads_it(data: Any) -> None:
    # it has __len__ and a method `batch`, as a dataset of gexcore has
    other = NumpyBackend(MLP([np.zeros((4, 3))], [np.zeros(3)]))
    x, y = as_dataset(data, other).batch(np.arange(N))
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)


def test_a_shuffled_one_is_refused_for_a_model_of_another_framework() -> None:
    other = NumpyBackend(MLP([np.zeros((4, 3))], [np.zeros(3)]))
    with pytest.raises(InvalidDataError, match="position i is not your sample i"):
        as_dataset(PAIRS.shuffle(N).batch(3), other)
