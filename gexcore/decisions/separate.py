"""Do scores tell two sources of data apart?"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gexcore.decisions.metrics import auc, average_precision
from gexcore.errors import InvalidDataError


class Detection(NamedTuple):
    """How well a ranking finds one source.

    Parameters
    ----------
    auc, average_precision : float
    """

    auc: float
    average_precision: float


class Separation(NamedTuple):
    """Both orientations: which source scores higher is not known beforehand.

    Parameters
    ----------
    source : object
        What is looked for.
    high, low : Detection
        Where high scores, or low ones, count as that source; the two AUCs sum to one.
    """

    source: Any
    high: Detection
    low: Detection


def separate(scores: Any, sources: Any) -> Separation:
    """AUC and average precision of scores as a detector of a source, in both orientations.

    Parameters
    ----------
    scores : array, shape (samples,)
        Such as `Influence.self_influence`.
    sources : array, shape (samples,)
        Two distinct values; the later in order (True, "usps" after "mnist", 1) is looked for.

    Raises
    ------
    InvalidDataError
        For one source or more than two, unequal lengths, or scores that are NaN.

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
