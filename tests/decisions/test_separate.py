"""Two sources, both orientations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from gexcore.decisions.separate import separate
from gexcore.errors import InvalidDataError


@settings(derandomize=True, database=None, deadline=None, max_examples=50)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 40))
def test_both_orientations_are_those_of_scikit_learn(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    scores, usps = rng.integers(0, 5, n), rng.random(n) < 0.4
    usps[:2] = [True, False]
    found = separate(scores, np.where(usps, "usps", "mnist"))
    assert found.source == "usps"
    assert found.high == pytest.approx(
        (roc_auc_score(usps, scores), average_precision_score(usps, scores))
    )
    assert found.low == pytest.approx(
        (roc_auc_score(usps, -scores), average_precision_score(usps, -scores))
    )
    assert found.high.auc + found.low.auc == pytest.approx(1)


@pytest.mark.parametrize(
    ("scores", "sources", "told"),
    [
        ([1.0, 2.0], [0, 0], "there are 1 sources, and two are told apart"),
        ([1.0, 2.0, 3.0], ["a", "b", "c"], "there are 3 sources"),
        ([1.0, np.nan], [0, 1], "1 scores are NaN"),
        ([1.0], [0, 1], r"shapes \(1,\) and \(2,\)"),
    ],
)
def test_what_cannot_be_separated(scores: list[float], sources: list[object], told: str) -> None:
    with pytest.raises(InvalidDataError, match=told):
        separate(scores, sources)
