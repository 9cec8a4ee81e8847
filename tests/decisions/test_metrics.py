"""Ranking metrics against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from gexcore.decisions.metrics import auc, average_precision, rank_correlation
from gexcore.errors import InvalidDataError

RANKED = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=40).filter(
    lambda pairs: len({positive for _, positive in pairs}) == 2
)


@given(RANKED)
def test_both_equal_those_of_scikit_learn_with_ties(pairs):
    scores, positive = (np.array(column) for column in zip(*pairs, strict=True))
    assert auc(scores / 4, positive) == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    assert average_precision(scores / 4, positive) == pytest.approx(
        average_precision_score(positive, scores), abs=1e-12
    )


@pytest.mark.parametrize("metric", [auc, average_precision])
@pytest.mark.parametrize(
    ("scores", "positive", "told"),
    [
        ([1.0, 2.0], [True], r"scores and positive have shapes \(2,\) and \(1,\)"),
        ([1.0, np.nan], [True, False], "1 scores are NaN and have no rank"),
        ([1.0, 2.0], [True, True], "2 of 2 samples are positive"),
        ([1.0, 2.0], [False, False], "0 of 2 samples are positive"),
        ([], [], "0 of 0 samples are positive"),
    ],
)
def test_what_has_no_ranking(metric, scores, positive, told):
    with pytest.raises(InvalidDataError, match=told):
        metric(np.array(scores), np.array(positive, dtype=bool))


@pytest.mark.parametrize("levels", [3, 1000])
def test_rank_correlation_is_spearmans_with_shared_ranks(levels: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    one, other = np.random.default_rng(levels).integers(0, levels, (2, 50))
    assert rank_correlation(one, other + one) == pytest.approx(
        stats.spearmanr(one, other + one).statistic
    )


def test_rank_correlation_of_what_has_no_ranks_is_unknown() -> None:
    assert np.isnan(rank_correlation(np.ones(4), np.arange(4)))
    assert np.isnan(rank_correlation(np.empty(0), np.empty(0)))
