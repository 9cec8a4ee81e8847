"""Scores of a training's history, against loops over one sample at a time."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gexcore.backend.batches import training_order
from gexcore.decisions.metrics import auc, average_precision
from gexcore.scores import (
    AUM,
    EL2N,
    Forgetting,
    Loss,
    MeanMemberLoss,
    Recorder,
    Scores,
    below_threshold_class,
    threshold_class,
)
from gexcore.scores.forgetting import forgotten
from gexcore_numpy import MLP, NumpyBackend


def recorded(correct: Any, *, epochs: Any = None) -> Recorder:
    """A recorder whose sample n is right at epoch t where correct[t, n] is 1, and not told where it
    is NaN."""
    correct = np.asarray(correct, float)
    recorder = Recorder(samples=correct.shape[1])
    for row, number in zip(correct, epochs or range(1, len(correct) + 1), strict=True):
        at = np.flatnonzero(~np.isnan(row))
        logits = np.stack([row[at] + 0.5, np.ones(len(at))], axis=1)
        recorder.add(at, logits=logits, labels=np.zeros(len(at), int))
        recorder.epoch(number)
    return recorder


def events_of(curve: list[float]) -> tuple[int, int, int, int]:
    told = [value for value in curve if not np.isnan(value)]
    events = sum(a == 1 and b == 0 for a, b in itertools.pairwise(told))
    first = told.index(1) + 1 if 1 in told else 0
    last = max((t for t, value in enumerate(told, 1) if value == 0), default=0)
    return events, len(told), first, last


CURVES = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 8), st.integers(1, 5)),
    elements=st.sampled_from([0.0, 1.0, np.nan]),
)


@given(CURVES)
def test_forgetting_events_are_counted_between_presentations(correct: Any) -> None:
    found = forgotten(correct)
    for n in range(correct.shape[1]):
        assert tuple(int(column[n]) for column in found) == events_of(correct[:, n].tolist())
    assert (2 * found.events <= found.presentations).all()


@given(CURVES.filter(lambda a: not np.isnan(a).any(axis=None)))
def test_a_sample_that_is_never_learnt_counts_all_its_presentations_or_none(correct: Any) -> None:
    never = (correct == 0).all(axis=0)
    recorder = recorded(correct)
    toneva, public = (
        Forgetting(recorder=recorder).fit(),
        Forgetting.public_code(recorder=recorder).fit(),
    )
    assert (toneva.values[never] == len(correct)).all()
    assert (public.values[never] == 0).all()
    assert np.array_equal(toneva.values[~never], public.values[~never])
    assert (toneva.values <= len(correct)).all()


def test_forgetting_is_summed_over_runs_and_ties_go_by_margin() -> None:
    first, second = recorded([[1, 0, 1], [0, 0, 1], [1, 0, 1]]), recorded([[1, 0, 0], [0, 1, 1]])
    scores = Forgetting(recorder=[first, second]).fit()
    assert scores.values.tolist() == [2.0, 3.0, 0.0]
    assert scores.details["presentations"].tolist() == [[3, 3, 3], [2, 2, 2]]
    assert scores.details["first_learnt"].tolist() == [[1, 0, 1], [1, 2, 2]]
    assert scores.details["last_wrong"].tolist() == [[2, 3, 0], [2, 1, 1]]
    tied = recorded([[1, 1, 0], [1, 0, 1]])
    assert Forgetting(recorder=tied).fit().values.tolist() == [0.0, 1.0, 0.0]
    # sample 2 was wrong once, so its mean margin is below that of sample 0
    assert Forgetting(recorder=tied).fit().ranking().tolist() == [1, 2, 0]


def test_the_public_code_turns_never_learnt_samples_from_the_top_to_the_bottom() -> None:
    rng = np.random.default_rng(0)
    wrong = np.arange(200) < 100
    correct = np.where(wrong, 0, np.maximum.accumulate(rng.random((10, 200)) < 0.5))
    recorder = recorded(correct)
    assert auc(Forgetting(recorder=recorder).fit().suspicion(), wrong) == 1.0
    assert auc(Forgetting.public_code(recorder=recorder).fit().suspicion(), wrong) <= 0.5


def test_aum_is_the_mean_margin_over_the_training(history: Any) -> None:
    scores = AUM(recorder=history.recorder).fit()
    for n in range(0, 240, 17):
        curve = history.logits[:, n]
        label = history.y[n]
        expected = np.mean([row[label] - max(np.delete(row, label)) for row in curve])
        assert scores.values[n] == pytest.approx(expected, rel=1e-5)
    assert scores.high == "correct"
    assert np.array_equal(scores.labels, history.y)
    assert auc(scores.suspicion(), history.wrong) > 0.95


@given(st.integers(0, 99))
def test_aum_has_the_sign_of_a_constant_prediction(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(5, 3)), rng.integers(0, 3, 5)
    recorder = Recorder(samples=5)
    for scale in rng.uniform(0.5, 2.0, 4):
        recorder.add(np.arange(5), logits=scale * logits, labels=labels)
        recorder.epoch()
    right = logits.argmax(axis=1) == labels
    assert np.array_equal(AUM(recorder=recorder).fit().values > 0, right)
    assert np.array_equal(AUM(recorder=recorder).fit().suspicion() < 0, right)


def test_mean_member_loss_of_a_recorder_is_the_mean_over_epochs_then_runs(history: Any) -> None:
    scores = MeanMemberLoss(recorder=history.recorder).fit()
    np.testing.assert_allclose(scores.values, history.losses.mean(axis=0), rtol=1e-6)
    other = Recorder(samples=240)
    other.add(np.arange(240), losses=np.zeros(240))
    other.epoch()
    both = MeanMemberLoss(recorder=[history.recorder, other]).fit()
    np.testing.assert_allclose(both.values, scores.values / 2, rtol=1e-12)
    at_end = Loss().fit(history.model, history.data, progress=False)
    found = [average_precision(s.suspicion(), history.wrong) for s in (scores, at_end)]
    assert found[0] > found[1]


@pytest.mark.parametrize("epoch", [1, 5])
def test_el2n_reads_one_epoch(history: Any, epoch: int) -> None:
    p = np.exp(history.logits[epoch - 1])
    expected = np.linalg.norm(p / p.sum(axis=1, keepdims=True) - np.eye(3)[history.y], axis=1)
    scores = EL2N(recorder=history.recorder, epoch=epoch).fit()
    np.testing.assert_allclose(scores.values, expected, rtol=1e-5, atol=1e-12)
    squared = EL2N(recorder=history.recorder, epoch=epoch, squared=True).fit()
    np.testing.assert_allclose(squared.values, expected**2, rtol=1e-5, atol=1e-12)


def test_el2n_averages_norms_and_the_public_code_squares() -> None:
    # distances √2 · p(other): one run sure of the wrong class, and one that is undecided
    runs = []
    for gap in (0.0, 60.0):
        recorder = Recorder(samples=1)
        recorder.add([0], logits=[[0.0, gap]], labels=[0])
        recorder.epoch(10)
        recorder.add([0], logits=[[60.0, 0.0]], labels=[0])
        recorder.epoch(20)
        runs.append(recorder)
    assert EL2N(recorder=runs).fit().values == pytest.approx(0.0, abs=1e-6)
    assert EL2N(recorder=runs, epoch=10).fit().values == pytest.approx(
        (np.sqrt(0.5) + np.sqrt(2)) / 2
    )
    public = EL2N.public_code(recorder=runs)
    assert (public.epoch, public.squared) == (10, True)
    assert public.fit().values == pytest.approx((0.5 + 2) / 2)


def test_the_threshold_class_takes_its_share_of_the_samples() -> None:
    labels = np.arange(110) % 10
    chosen = threshold_class(labels, seed=3)
    assert len(chosen.positions) == 110 // 11
    assert (chosen.labels[chosen.positions] == 10).all()
    others = np.delete(np.arange(110), chosen.positions)
    assert np.array_equal(chosen.labels[others], labels[others])
    assert np.array_equal(threshold_class(labels, seed=3).positions, chosen.positions)
    assert not np.array_equal(threshold_class(labels, seed=4).positions, chosen.positions)


def test_samples_below_the_percentile_of_the_threshold_class_are_suspects() -> None:
    recorder = Recorder(samples=102)
    margin = np.concatenate([np.arange(100.0), [98.5, 200.0]])
    recorder.add(
        np.arange(102), logits=np.stack([margin, np.zeros(102)], axis=1), labels=np.zeros(102, int)
    )
    recorder.epoch()
    scores = AUM(recorder=recorder).fit()
    found = below_threshold_class(scores, np.arange(100))
    assert found.threshold.value == pytest.approx(-np.percentile(margin[:100], 99), rel=1e-6)
    assert found.threshold.reason == "the 99th percentile of 100 samples of the threshold class"
    assert found.indices.tolist() == []
    assert below_threshold_class(scores, np.arange(100), percentile=100).indices.tolist() == [100]


def train_recorded(x: Any, labels: Any) -> Scores:
    backend = NumpyBackend(MLP.init((5, 24, int(labels.max()) + 1), seed=1))
    state, batches = backend.initial_state(), training_order(len(x), 16, seed=0, chain=0)
    recorder = Recorder(samples=len(x))
    for _ in range(6):
        for _ in range(len(x) // 16):
            i, seed = next(batches)
            recorder.add(i, logits=backend.logits(state, (x[i], labels[i])), labels=labels[i])
            state = backend.sgd_step(state, (x[i], labels[i]), lr=0.05, seed=seed)
        recorder.epoch()
    return AUM(recorder=recorder).fit()


def test_the_threshold_class_finds_wrong_labels_of_a_real_training(history: Any) -> None:
    chosen = threshold_class(history.y, seed=0)
    scores = train_recorded(history.x, chosen.labels)
    found = below_threshold_class(scores, chosen.positions, percentile=90)
    assert not np.isin(found.indices, chosen.positions).any()
    judged = np.setdiff1d(np.flatnonzero(history.wrong), chosen.positions)
    assert np.isin(judged, found.indices).mean() > 0.8
    # of all samples a tenth is wrong
    assert history.wrong[found.indices].mean() > 0.3
