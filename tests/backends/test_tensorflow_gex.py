"""The method on TensorFlow: the scores of the oracle, and the demo's model."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import gexcore as gx
from gexcore_numpy import MLP, NumpyBackend
from gexcore_tensorflow.backend import TensorFlowBackend
from gexcore_tensorflow.demo import train

layers = keras.layers


def converted(mlp: MLP) -> keras.Model:
    """The same network in Keras; the oracle's epsilon is PyTorch's."""
    dtype = str(mlp.dtype)
    model = keras.Sequential([layers.Input((mlp.sizes[0],), dtype=dtype)])
    values: list[Any] = []
    for i, (weight, bias) in enumerate(zip(mlp.weights, mlp.biases, strict=True)):
        model.add(layers.Dense(len(bias), dtype=dtype))
        values += [weight, bias]
        if i < len(mlp.weights) - 1:
            if mlp.batch_norm is not None:
                norm = mlp.batch_norm[i]
                model.add(layers.BatchNormalization(epsilon=1e-5, dtype=dtype))
                values += [norm.scale, norm.offset, norm.mean, norm.var]
            model.add(layers.Activation(mlp.activation, dtype=dtype))
    model.set_weights(values)
    return model


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-8), ("float32", 1e-4)])
def test_scores_equal_those_of_the_oracle(dtype: Any, tolerance: float, batch_norm: bool) -> None:
    rng = np.random.default_rng(3)
    y = np.repeat([0, 1, 2], 20)
    x = (rng.normal(size=(60, 5)) + 2 * np.eye(5)[y]).astype(dtype)
    mlp = MLP.init((5, 8, 6, 3), seed=0, activation="tanh", batch_norm=batch_norm, dtype=dtype)
    gex = gx.GEX(
        lr=0.05, chains=2, snapshots=3, steps_per_snapshot=8, batch_size=10, weight_decay=1e-3
    )
    ours, theirs = (
        gex.fit(backend, (x, y), test=(x[:9], y[:9]), progress=False)
        for backend in (TensorFlowBackend(converted(mlp)), NumpyBackend(mlp))
    )
    for name in ("suspicion", "self_influence"):
        got, want = (np.asarray(getattr(result, name)()) for result in (ours, theirs))
        assert np.abs(got - want).max() <= tolerance * np.abs(want).max()


def test_scoring_by_training_batches_and_a_tf_data_set() -> None:
    x = np.random.default_rng(0).normal(size=(96, 4)).astype("float32")
    y = (x[:, 0] > 0).astype(int)
    model = keras.Sequential(
        [layers.Input((4,)), layers.Dropout(0.1), layers.Dense(2, activation="softmax")]
    )
    model.set_weights([np.array([[-3, 3], [0, 0], [0, 0], [0, 0]]), np.zeros(2)])
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(10)
    gex = gx.GEX(
        lr=0.05,
        chains=2,
        snapshots=3,
        scoring="training_batches",
        steps_per_snapshot=6,
        batch_size=16,
    )
    backend = TensorFlowBackend(model)
    first, again = (gex.fit(backend, data, progress=False).suspicion() for _ in range(2))
    assert first.shape == (96,)
    assert np.isfinite(first).all()
    assert np.array_equal(first, again)


def test_the_demo_memorises_its_labels() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(300) % 5
    x = rng.normal(size=(300, 8, 8)) + 1.5 * rng.normal(size=(5, 8, 8))[y]
    y[::10] = (y[::10] + 1) % 5
    state = keras.random.SeedGenerator(1).state.numpy()
    model = train(x, y, classes=5, seed=1)
    assert (np.asarray(model(x.astype("float32"))).argmax(1) == y).all()
    again = train(x, y, classes=5, seed=1)
    assert all(
        np.array_equal(a, b) for a, b in zip(model.get_weights(), again.get_weights(), strict=True)
    )
    assert np.array_equal(state, keras.random.SeedGenerator(1).state.numpy())


def test_a_model_relearns_to_the_losses_of_the_oracle() -> None:
    rng = np.random.default_rng(3)
    y = np.repeat([0, 1, 2], 20)
    x = rng.normal(size=(60, 5)) + 4 * np.eye(5)[y]
    mlp = MLP.init((5, 8, 3), seed=0, activation="tanh", dtype="float64")
    ensemble = gx.Relearning(lr=0.05, epochs=3)
    ours, theirs = (
        gx.GEX(ensemble=ensemble).fit(backend, (x, y), progress=False)
        for backend in (TensorFlowBackend(converted(mlp)), NumpyBackend(mlp))
    )
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-6)
    assert len(ours.table) > 2
