"""The Keras callback: what the training step put out, by position."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import gexcore as gx
from gexcore.callbacks import KerasRecord
from gexcore.errors import InvalidDataError
from tests.callbacks.by_hand import assert_same_scores, by_hand
from tests.callbacks.pages import example

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def problem():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 3)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int32) + (x[:, 1] > 1)
    return x, y


def network(*, softmax: bool = False) -> keras.Model:
    keras.utils.set_random_seed(0)
    head = keras.layers.Dense(3, activation="softmax" if softmax else None)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(8, activation="relu"), head])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not softmax)
    model.compile(keras.optimizers.SGD(0.1), loss)
    return model


@pytest.mark.parametrize("softmax", [False, True])
def test_scores_equal_those_of_a_record_kept_by_hand(softmax):
    x, y = problem()
    model = network(softmax=softmax)
    record = KerasRecord(x, y, batch_size=16, every=2, probabilities=softmax, seed=3)
    model.fit(record.data, epochs=4, shuffle=False, callbacks=[record], verbose=0)

    other, steps, weights = network(softmax=softmax), [], []
    for epoch in range(4):
        order = np.random.default_rng([3, epoch]).permutation(50)
        for start in range(0, 50, 16):
            at = order[start : start + 16]
            out = other(x[at]).numpy()
            steps.append((at, np.log(out) if softmax else out))
            other.train_on_batch(x[at], y[at])
        weights.append(other.get_weights())
    wanted = by_hand(steps, y, per_epoch=4)
    assert record.recorder.epochs == (1, 2, 3, 4)
    assert_same_scores(record.recorder, wanted)

    assert len(record.checkpoints) == 2
    for found, kept in zip(record.checkpoints, weights[1::2], strict=True):
        for a, b in zip(found, kept, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    if not softmax:
        fits = [
            gx.TracIn(checkpoints=kept).fit(model, (x, y), progress=False).self_influence()
            for kept in (record.checkpoints, weights[1::2])
        ]
        np.testing.assert_allclose(fits[0], fits[1], rtol=1e-3)


@pytest.mark.parametrize("size", [8, 16, 25])
def test_a_training_on_other_batches_is_refused(size):
    x, y = problem()
    record = KerasRecord(x, y, batch_size=16)
    with pytest.raises(InvalidDataError, match=r"call fit\(record.data, shuffle=False"):
        network().fit(x, y, epochs=1, batch_size=size, callbacks=[record], verbose=0)


def test_the_model_is_left_as_it_was():
    x, y = problem()
    model, plain = network(), network()
    before = model.compute_loss
    record = KerasRecord(x, y, batch_size=16)
    model.fit(record.data, epochs=2, shuffle=False, callbacks=[record], verbose=0)
    assert model.compute_loss == before
    model.fit(x, y, epochs=1, verbose=0)
    assert len(record.recorder.epochs) == 2
    again, twin = network(), KerasRecord(x, y, batch_size=16)
    again.fit(twin.data, epochs=2, shuffle=False, callbacks=[twin], verbose=0)
    for epoch in range(2):
        order = np.random.default_rng([0, epoch]).permutation(50)
        for start in range(0, 50, 16):
            plain.train_on_batch(x[order[start : start + 16]], y[order[start : start + 16]])
    for a, b in zip(again.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_the_example_of_the_page_runs():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)).astype(np.float32)
    names = {"x": x, "y": (x[:, 0] > 0).astype(np.int32), "gx": gx}
    exec(example("KerasRecord(x"), names)
    assert names["record"].recorder.epochs == (1, 2, 3)
