"""The record of a bare loop: with optax, over ranks, and what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gexcore as gx
from gexcore.callbacks import TrainingRecord
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.scores import AUM, Recorder
from tests.callbacks.by_hand import assert_same_scores, by_hand
from tests.callbacks.pages import example


def test_optax_records_by_two_lines():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 3)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int32)
    params = {"w": jnp.zeros((3, 2)) + 0.1 * jnp.arange(6.0).reshape(3, 2), "b": jnp.zeros(2)}
    optimizer = optax.adam(0.1)

    def apply(params, x):
        return x @ params["w"] + params["b"]

    @jax.jit
    def step(params, state, x, y):
        def loss(params):
            logits = apply(params, x)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
            return losses.mean(), (losses, logits)

        (_, told), gradient = jax.value_and_grad(loss, has_aux=True)(params)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, updates), state, told

    record, state, steps, states = TrainingRecord(30, every=2), optimizer.init(params), [], []
    for _ in range(4):
        for at in np.array_split(rng.permutation(30), 3):
            params, state, (losses, logits) = step(params, state, x[at], y[at])
            steps.append((at, np.asarray(logits)))
            record.batch(at, losses=losses, logits=logits, labels=y[at])
        record.epoch(params)
        states.append(params)
    assert_same_scores(record.recorder, by_hand(steps, y, per_epoch=3, losses=True))
    fits = [
        gx.TracIn(checkpoints=kept).fit((apply, params), (x, y), progress=False).self_influence()
        for kept in (record.checkpoints, states[1::2])
    ]
    np.testing.assert_array_equal(fits[0], fits[1])


def test_ranks_are_merged():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(2, 9, 3)), rng.integers(0, 3, 9)
    whole, ranks = Recorder(9), [Recorder(9), Recorder(9)]
    for epoch in logits:
        whole.add(np.arange(9), logits=epoch, labels=labels)
        whole.epoch()
        for rank, part in zip(ranks, (np.arange(0, 9, 2), np.arange(1, 9, 2)), strict=True):
            rank.add(part, logits=epoch[part], labels=labels[part])
            rank.epoch()
    found = Recorder.merged(ranks)
    np.testing.assert_array_equal(
        AUM(recorder=found).fit().values, AUM(recorder=whole).fit().values
    )
    np.testing.assert_array_equal(found.labels, labels)
    other = Recorder(9)
    with pytest.raises(InvalidDataError, match="differ in their samples or epochs"):
        Recorder.merged([ranks[0], other])
    for epoch in logits:
        other.add([0], logits=epoch[:1], labels=[(labels[0] + 1) % 3])
        other.epoch()
    with pytest.raises(InvalidDataError, match="sample 0 has two labels"):
        Recorder.merged([ranks[0], other])


def test_a_sample_that_comes_twice_counts_once():
    record = TrainingRecord(2)
    record.batch([0, 1], losses=[1.0, 2.0])
    record.batch([1], losses=[5.0])
    record.epoch()
    np.testing.assert_array_equal(record.recorder.curve("losses"), [[1.0, 2.0]])


def test_what_is_refused():
    with pytest.raises(InvalidSettingError, match="every"):
        TrainingRecord(2, every=-1)
    record = TrainingRecord(2)
    record.batch([0], losses=[1.0])
    record.batch([1], logits=[[1.0, 0.0]], labels=[0])
    with pytest.raises(InvalidDataError, match="different kinds of arrays"):
        record.epoch()


def test_the_example_of_the_page_runs():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)).astype(np.float32)
    names = {"x": x, "y": (x[:, 0] > 0).astype(np.int32), "gx": gx}
    exec(example("optax.adam"), names)
    assert names["record"].recorder.epochs == (1, 2, 3)
