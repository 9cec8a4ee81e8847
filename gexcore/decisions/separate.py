"""Separation of two sources of data by scores."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gexcore.decisions.metrics import auc, average_precision
from gexcore.errors import InvalidDataError


class Detection(NamedTuple):
    """Detection of one source by a ranking.

    Parameters
    ----------
    auc, average_precision : float
    """

    auc: float
    average_precision: float


class Separation(NamedTuple):
    """Detection in both orientations, as the higher source is not known beforehand.

    Parameters
    ----------
    source : object
        Source to find.
    high, low : Detection
        Detection if high scores, or low scores, count as that source. The two AUCs sum to one.
    """

    source: Any
    high: Detection
    low: Detection


def separate(scores: Any, sources: Any) -> Separation:
    """AUC and average precision of scores as a detector of a source, in both orientations.

    Parameters
    ----------
    scores : array, shape (samples,)
        Scores, such as `Influence.self_influence`.
    sources : array, shape (samples,)
        Two distinct values. The later one in order (True, "usps" after "mnist", 1) is the source to
        find.

    Raises
    ------
    InvalidDataError
        If there are not two sources, lengths differ, or scores are NaN.

    Examples
    --------
    >>> from gexcore.decisions.separate import separate
    >>> found = separate([0.1, 0.2, 0.8, 0.9], ["b", "a", "b", "b"])
    >>> found.source, round(found.high.auc, 3), round(found.low.auc, 3)
    ('b', 0.667, 0.333)
    """
    names, codes = np.unique(np.asarray(sources), return_inverse=True)
    if len(names) != 2:
        msg = (
            f"there are {len(names)} sources, and two are told apart; give each sample one of "
            "two values"
        )
        raise InvalidDataError(msg)
    scores, wanted = np.asarray(scores, dtype=np.float64), codes == 1
    high, low = (Detection(auc(s, wanted), average_precision(s, wanted)) for s in (scores, -scores))
    return Separation(names[1].item(), high, low)
