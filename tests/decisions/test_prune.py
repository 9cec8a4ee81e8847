"""Exactly so many samples, the highest of them, and no class lost unnoticed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gexcore.decisions.curve import pruning_curve
from gexcore.decisions.prune import prune, random_subset
from gexcore.errors import InvalidDataError, InvalidSettingError

laws = settings(derandomize=True, database=None, deadline=None, max_examples=80)
SCORES = st.lists(st.integers(0, 4), min_size=1, max_size=30)  # many ties
SHARES = st.floats(0.01, 1.0)


@laws
@given(scores=SCORES, keep=SHARES)
def test_the_highest_are_kept_in_exact_number_earlier_ones_first(
    scores: list[int], keep: float
) -> None:
    count = round(keep * len(scores))
    if not count:
        with pytest.raises(InvalidSettingError, match=r"must be a share above 0 \(one of the"):
            prune(scores, keep)
        return
    ranked = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    np.testing.assert_array_equal(prune(scores, keep), sorted(ranked[:count]))


@laws
@given(scores=SCORES, keep=SHARES, classes=st.integers(1, 5), seed=st.integers(0, 99))
def test_a_quota_keeps_every_class_in_proportion(
    scores: list[int], keep: float, classes: int, seed: int
) -> None:
    labels = np.random.default_rng(seed).integers(0, classes, len(scores))
    count, present = round(keep * len(scores)), len(np.unique(labels))
    if count < present:
        with pytest.raises(InvalidSettingError):
            prune(scores, keep, labels=labels, class_quota=True)
        return
    kept = prune(scores, keep, labels=labels, class_quota=True)
    assert len(kept) == count
    assert set(labels[kept]) == set(labels)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        chosen = np.intersect1d(own, kept)
        assert (
            abs(
                len(chosen)
                - (1 + (len(own) - 1) * (count - present) / max(len(scores) - present, 1))
            )
            < 1
        )
        best = sorted(own, key=lambda i: (-scores[i], i))[: len(chosen)]
        np.testing.assert_array_equal(chosen, sorted(best))


def test_a_class_that_would_vanish_is_one_sentence() -> None:
    scores, labels = np.arange(10.0), np.array([3] * 4 + [5] * 6)
    with pytest.raises(
        InvalidSettingError,
        match=r"no sample of class 3 would be left \(4 of 4 removed\), .* keep more",
    ):
        prune(scores, 0.5, labels=labels)
    np.testing.assert_array_equal(prune(scores, 0.5), np.arange(5, 10))
    assert np.bincount(labels[prune(scores, 0.5, labels=labels, class_quota=True)])[
        [3, 5]
    ].tolist() == [2, 3]
    with pytest.raises(
        InvalidSettingError,
        match="1 samples are to be kept of 2 classes, and a class must not vanish",
    ):
        prune(scores, 0.1, labels=labels, class_quota=True)


@pytest.mark.parametrize("keep", [0, -0.5, 1.5, float("nan")])
def test_shares_that_are_none(keep: float) -> None:
    with pytest.raises(InvalidSettingError, match=f"keep is {keep}, and must be a share above 0"):
        prune(np.arange(10), keep)


@pytest.mark.parametrize(
    ("scores", "labels", "error", "told"),
    [
        (
            [1.0, np.nan, np.nan],
            None,
            InvalidDataError,
            "the scores are NaN for 2 samples; give one number per sample",
        ),
        (np.zeros((2, 2)), None, InvalidDataError, r"the scores have shape \(2, 2\)"),
        ([1.0, 2.0], [0], InvalidDataError, r"labels have shape \(1,\) and scores \(2,\)"),
    ],
)
def test_scores_that_are_none(scores: Any, labels: Any, error: type, told: str) -> None:
    with pytest.raises(error, match=told):
        prune(scores, 0.5, labels=labels)
    with pytest.raises(InvalidSettingError, match="class_quota needs the given classes"):
        prune([1.0, 2.0], 0.5, class_quota=True)


def test_random_subsets_are_as_large_follow_the_seed_and_are_even() -> None:
    chosen = [random_subset(40, 0.25, seed=seed) for seed in range(400)]
    assert {len(part) for part in chosen} == {10}
    np.testing.assert_array_equal(chosen[3], random_subset(40, 0.25, seed=3))
    counts = np.bincount(np.concatenate(chosen), minlength=40)
    assert abs(counts - 100).max() < 5 * np.sqrt(400 * 0.25 * 0.75)
    labels = np.arange(40) % 4
    quota = random_subset(40, 0.25, seed=0, labels=labels, class_quota=True)
    assert np.ptp(np.bincount(labels[quota])) <= 1


def test_a_curve_trains_on_less_and_less_by_score_and_at_random() -> None:
    asked: list[list[int]] = []

    def train(positions: Any) -> float:
        asked.append(positions.tolist())
        return float(positions.sum())

    curve = pruning_curve(train, np.arange(6.0), [1.0, 0.5], seed=4)
    drawn = random_subset(6, 0.5, seed=4)
    assert asked == [
        [0, 1, 2, 3, 4, 5],
        [3, 4, 5],
        drawn.tolist(),
    ]  # with all of them there is nothing to draw
    assert curve == [(1.0, 6, 15.0, 15.0), (0.5, 3, 12.0, float(drawn.sum()))]


def test_a_curve_is_checked_before_anything_is_trained() -> None:
    with pytest.raises(InvalidSettingError, match="keep is 0"):
        pruning_curve(lambda positions: pytest.fail("trained"), [1.0, 2.0], [1.0, 0])
