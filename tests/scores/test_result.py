"""What every score's result promises: one sign for suspicion, a ranking without chance, thresholds
that may refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gexcore.decisions.threshold import find_threshold
from gexcore.evaluation.passes import Passes
from gexcore.influence.record import Run
from gexcore.scores import Loss, Margin, Scores
from gexcore.testing import strategies as gst


def made(values: Any, *, high: Any = "mislabelled", **fields: Any) -> Scores:
    values = np.asarray(values, dtype=np.float64)
    run = Run("Any", {}, None, "none", len(values), None, (), Passes(), 0.0)
    return Scores(values, fields.pop("labels", None), "units", high, run, **fields)


def two_modes(seed: int = 0) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.gamma(2.0, 0.05, 900), rng.normal(2.5, 0.2, 100)])


@given(gst.scores(smallest=-20.0))
def test_suspicion_is_high_for_wrong_labels_whatever_was_published(values: Any) -> None:
    assert np.array_equal(made(values).suspicion(), values)
    assert np.array_equal(made(-values, high="correct").suspicion(), values)
    assert np.array_equal(made(values).ranking(), made(-values, high="correct").ranking())


@given(gst.scores(smallest=-20.0))
def test_the_ranking_is_a_permutation_from_the_most_suspicious_down(values: Any) -> None:
    ranking = made(values).ranking()
    assert np.array_equal(np.sort(ranking), np.arange(len(values)))
    assert (np.diff(values[ranking]) <= 0).all()


def test_ties_are_broken_by_the_second_score_then_by_position_and_unknown_values_come_last() -> (
    None
):
    values = [1.0, np.nan, 2.0, 1.0, 1.0]
    assert made(values).ranking().tolist() == [2, 0, 3, 4, 1]
    assert made(values, tie_break=np.array([0.0, 9.0, 0.0, 5.0, 0.0])).ranking().tolist() == [
        2,
        3,
        0,
        4,
        1,
    ]


def test_results_do_not_share_memory_with_their_suspicion() -> None:
    scores = made([1.0, 2.0])
    scores.suspicion()[0] = 9.0
    assert scores.values[0] == 1.0


def test_suspects_are_those_above_the_threshold_of_the_same_scores() -> None:
    values = two_modes()
    found = made(values).suspects()
    threshold = find_threshold(values)
    assert found.threshold == threshold
    assert threshold.value is not None
    assert np.array_equal(np.sort(found.indices), np.flatnonzero(values > threshold.value))
    assert (np.diff(values[found.indices]) <= 0).all()


@pytest.mark.parametrize(
    ("method", "rate"),
    [("auto", None), ("otsu", None), ("mixture", None), ("known_rate", 0.1), ("quantile", 0.05)],
)
def test_negated_scores_are_cut_alike(method: Any, rate: float | None) -> None:
    values = two_modes()
    # 1 − values is of both signs; only the shift to zero, which the smallest value fixes, may
    # differ
    shifted = values - values.min()
    found = made(5.0 - shifted, high="correct").suspects(method, rate=rate)
    assert found.threshold.value is not None
    assert np.array_equal(found.indices, made(shifted).suspects(method, rate=rate).indices)
    suspicion = made(5.0 - shifted, high="correct").suspicion()
    assert suspicion[found.indices].min() >= found.threshold.value
    assert np.delete(suspicion, found.indices).max() <= found.threshold.value + 1e-12


def test_a_threshold_may_be_refused() -> None:
    one_mode = np.random.default_rng(0).gamma(2.0, 0.1, 1000)
    indices, threshold = made(one_mode).suspects()
    assert not len(indices)
    assert threshold.value is None


def test_counts_are_not_cut_at_the_gap_between_two_of_them() -> None:
    counts = np.random.default_rng(0).poisson(0.3, 1000).astype(float)
    assert find_threshold(counts).value is not None
    indices, threshold = made(counts).suspects()
    assert not len(indices)
    assert "distinct values are too few to tell a valley from a gap" in threshold.reason
    assert len(made(counts).suspects("otsu").indices)


def test_samples_of_unknown_value_are_no_suspects() -> None:
    values = two_modes()
    with_unknown = np.concatenate([[np.nan], values])
    labels = np.zeros(len(with_unknown), np.intp)
    found = made(with_unknown, labels=labels).suspects()
    assert np.array_equal(found.indices, made(values).suspects().indices + 1)
    assert made([np.nan, np.nan]).suspects().threshold.reason == "no sample has a known value"


def test_a_cut_that_would_flag_most_of_a_class_is_refused() -> None:
    values = two_modes()
    assert (
        "given class 1"
        in made(values, labels=(values > 1).astype(np.intp)).suspects().threshold.reason
    )


@given(st.booleans())
def test_columns_have_one_row_per_sample(labelled: bool) -> None:
    values = two_modes()
    scores = made(values, labels=np.zeros(len(values), np.intp) if labelled else None)
    columns = scores.columns()
    assert list(columns) == ["index", "label", "suspicion", "value", "suspect"]
    assert {len(column) for column in columns.values()} == {len(scores)}
    assert np.array_equal(np.flatnonzero(columns["suspect"]), np.sort(scores.suspects().indices))
    frame = scores.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert (frame["label"] == 0).all() if labelled else frame["label"].isna().all()


def test_the_text_tells_sign_and_unit(history: Any) -> None:
    loss = Loss().fit(history.model, history.data, progress=False)
    margin = Margin().fit(history.model, history.data, progress=False)
    assert repr(loss) == (
        "<Scores by Loss: 240 samples, in units of the loss; values: high = probably "
        "mislabelled, and so suspicion()>"
    )
    assert "in logits; values: high = probably correct; suspicion(): −values" in repr(margin)


def test_the_run_tells_settings_and_cost(history: Any) -> None:
    run = Margin().fit(history.model, history.data, progress=False).run
    assert (run.method, run.backend, run.samples, run.classes) == ("Margin", "numpy", 240, 3)
    assert run.passes == Passes(forward=480)
    assert run.to_dict()["passes"]["epochs"] == 2.0
