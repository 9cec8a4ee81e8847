"""Metrics of how well scores rank the positive samples."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.errors import InvalidDataError


class _Levels(NamedTuple):
    """Counts of samples at each distinct score, lowest first."""

    all: NDArray[Any]
    positive: NDArray[Any]


def auc(scores: NDArray[Any], positive: NDArray[Any]) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative.

    Parameters
    ----------
    scores : array, shape (samples,)
        Scores; high = expected to be positive.
    positive : boolean array, shape (samples,)

    Raises
    ------
    InvalidDataError
        If scores are NaN, lengths differ, or all samples are of one kind.

    Examples
    --------
    >>> from gexcore.decisions.metrics import auc
    >>> auc([0.1, 0.4, 0.4, 0.8], [False, False, True, True])
    0.875
    """
    levels = _count(scores, positive)
    negative = levels.all - levels.positive
    below = np.cumsum(negative) - negative
    wins = (levels.positive * (below + 0.5 * negative)).sum()
    return float(wins / (levels.positive.sum() * negative.sum()))


def average_precision(scores: NDArray[Any], positive: NDArray[Any]) -> float:
    """Area under precision against recall: Σ (R_i − R_{i−1}) P_i over distinct scores.

    Parameters and errors are the same as for `auc`.

    Examples
    --------
    >>> from gexcore.decisions.metrics import average_precision
    >>> round(average_precision([0.1, 0.4, 0.4, 0.8], [False, False, True, True]), 4)
    0.8333
    """
    levels = _count(scores, positive)
    found, taken = np.cumsum(levels.positive[::-1]), np.cumsum(levels.all[::-1])
    return float((levels.positive[::-1] * found / taken).sum() / found[-1])


def correlation(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Pearson's r of two scores; NaN for fewer than two samples, or equal scores.

    Examples
    --------
    >>> from gexcore.decisions.metrics import correlation
    >>> round(correlation([0.1, 0.4, 0.8], [1.0, 2.0, 9.0]), 3)
    0.947
    """
    centred = [
        x - x.mean() if len(x) else x
        for x in (np.asarray(scores, dtype=np.float64) for scores in (one, other))
    ]
    scale = float(np.sqrt(np.prod([(x**2).sum() for x in centred])))
    return float(centred[0] @ centred[1] / scale) if scale else float("nan")


def rank_correlation(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Spearman's ρ of two scores of the same samples. Equal scores share their mean rank.

    NaN for fewer than two samples, or if all scores are equal.

    Examples
    --------
    >>> from gexcore.decisions.metrics import rank_correlation
    >>> rank_correlation([0.1, 0.4, 0.8], [1.0, 2.0, 9.0])
    1.0
    """
    return correlation(*(_ranks(np.asarray(scores, dtype=np.float64)) for scores in (one, other)))


def _ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    _, codes, counts = np.unique(scores, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[codes]


def _count(scores: Any, positive: Any) -> _Levels:
    scores, positive = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    if scores.ndim != 1 or scores.shape != positive.shape:
        msg = (
            f"scores and positive have shapes {scores.shape} and {positive.shape}; give one of "
            "each per sample"
        )
        raise InvalidDataError(msg)
    if np.isnan(scores).any():
        raise InvalidDataError(
            f"{int(np.isnan(scores).sum())} scores are NaN and have no rank; leave those "
            "samples out"
        )
    if positive.all() or not positive.any():
        msg = (
            f"{int(positive.sum())} of {len(positive)} samples are positive; a ranking is "
            "measured on some of each kind"
        )
        raise InvalidDataError(msg)
    _, codes = np.unique(scores, return_inverse=True)
    return _Levels(np.bincount(codes), np.bincount(codes, weights=positive))
