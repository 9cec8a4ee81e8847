"""Confident learning here and in cleanlab: the same numbers to rounding."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its dependencies, on import
    from cleanlab.count import compute_confident_joint, get_confident_thresholds
    from cleanlab.rank import get_label_quality_scores

from gexcore.scores import ConfidentLearning, confident_joint, confident_thresholds, label_quality

TINY = {"rtol": 1e-12, "atol": 1e-12}


def case(seed: int, *, classes: int = 4, samples: int = 400) -> tuple[Any, Any]:
    """Labels of unequal frequency, a tenth of them wrong, and probabilities of a mediocre model."""
    rng = np.random.default_rng(seed)
    true = np.minimum(rng.geometric(0.4, samples) - 1, classes - 1)
    true[:classes] = np.arange(classes)
    logits = rng.normal(size=(samples, classes)) + 2 * np.eye(classes)[true]
    p = np.exp(logits)
    labels = np.where(rng.random(samples) < 0.1, rng.integers(0, classes, samples), true)
    labels[:classes] = np.arange(classes)
    return labels, p / p.sum(axis=1, keepdims=True)


CASES = [case(0), case(1, classes=2), case(2, classes=10, samples=1000), case(3, samples=30)]


@pytest.mark.parametrize(("labels", "p"), CASES)
@pytest.mark.parametrize("adjusted", [False, True])
@pytest.mark.parametrize(
    "method", ["self_confidence", "normalized_margin", "confidence_weighted_entropy"]
)
def test_label_quality(labels: Any, p: Any, adjusted: bool, method: Any) -> None:
    if adjusted and method == "confidence_weighted_entropy":
        for refuses in (label_quality, get_label_quality_scores):
            with pytest.raises(ValueError, match="adjust"):
                refuses(
                    labels,
                    p,
                    method=method,
                    **{"adjusted" if refuses is label_quality else "adjust_pred_probs": True},
                )
        return
    theirs = get_label_quality_scores(labels, p, method=method, adjust_pred_probs=adjusted)
    np.testing.assert_allclose(
        label_quality(labels, p, method=method, adjusted=adjusted), theirs, **TINY
    )


@pytest.mark.parametrize(("labels", "p"), CASES)
def test_scores_through_cleanlab_are_ours(labels: Any, p: Any) -> None:
    data = np.zeros((len(labels), 1)), labels
    for settings in ({}, {"adjusted": True}, {"quality": "confidence_weighted_entropy"}):
        found = [
            ConfidentLearning(probabilities=p, through=through, **settings).fit(data=data).values
            for through in (None, "cleanlab")
        ]
        np.testing.assert_allclose(*found, **TINY)


@pytest.mark.parametrize(("labels", "p"), CASES)
def test_thresholds(labels: Any, p: Any) -> None:
    np.testing.assert_allclose(
        confident_thresholds(labels, p), get_confident_thresholds(labels, p), **TINY
    )


@pytest.mark.parametrize(("labels", "p"), CASES)
def test_confident_joint(labels: Any, p: Any) -> None:
    theirs = compute_confident_joint(labels, p, calibrate=False)
    np.testing.assert_array_equal(confident_joint(labels, p, calibrate=False, among="all"), theirs)
    # theirs is rounded to whole samples, row by row
    whole = compute_confident_joint(labels, p)
    calibrated = confident_joint(labels, p, among="all")
    np.testing.assert_array_equal(whole.sum(axis=1), calibrated.sum(axis=1).round())
    assert np.abs(whole - calibrated).max() < 1


def test_where_several_classes_pass_theirs_may_count_one_that_did_not() -> None:
    # cleanlab issue 1248
    labels = np.array([0, 1, 2, 2])
    p = np.array([[0.9, 0.05, 0.05], [0.3, 0.3, 0.4], [0.6, 0.2, 0.2], [0.38, 0.32, 0.3]])
    theirs = compute_confident_joint(labels, p, calibrate=False)
    np.testing.assert_array_equal(confident_joint(labels, p, calibrate=False, among="all"), theirs)
    assert (confident_joint(labels, p, calibrate=False) != theirs).any()
