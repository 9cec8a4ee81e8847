"""Threshold classes: a fake class gives a threshold for margins (Pleiss et al. 2020)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.cuts import Threshold
from gexcore.decisions.threshold import Suspects
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.influence.scores import Scores
from gexcore.settings import check_seed


class ThresholdClass(NamedTuple):
    """Training labels with a fake class K, for a model with K + 1 classes.

    Parameters
    ----------
    labels : integer array, shape (samples,)
        Given classes, but K for some samples.
    positions : integer array
        Positions of the samples of class K, ascending.
    """

    labels: NDArray[np.intp]
    positions: NDArray[np.intp]


def threshold_class(labels: Any, *, seed: int = 0) -> ThresholdClass:
    """Put ⌊N / (K + 1)⌋ random samples into a fake class K, as examples of wrong labels.

    This training cannot judge their own labels. A second training with another seed can.

    Parameters
    ----------
    labels : integer array, shape (samples,)
        Given classes 0 … K − 1.
    seed : int

    Raises
    ------
    InvalidDataError
        If labels are no classes, or samples are too few.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.scores import threshold_class
    >>> threshold_class(np.array([0, 1, 0, 1, 0, 1])).labels
    array([0, 1, 0, 2, 2, 1])
    """
    check_seed(seed)
    given = np.asarray(labels)
    if given.ndim != 1 or given.dtype.kind not in "iu" or not len(given) or given.min() < 0:
        raise InvalidDataError("the labels are no classes; give integers 0 … K−1, one per sample")
    k = int(given.max()) + 1
    count = len(given) // (k + 1)
    if not count:
        raise InvalidDataError(
            f"{len(given)} samples of {k} classes are too few; at least {k + 1} are needed"
        )
    positions = np.sort(np.random.default_rng(seed).choice(len(given), count, replace=False))
    changed = given.astype(np.intp)
    changed[positions] = k
    return ThresholdClass(changed, positions)


def below_threshold_class(scores: Scores, positions: Any, *, percentile: float = 99.0) -> Suspects:
    """Samples that the training treated like those of the threshold class.

    Parameters
    ----------
    scores : Scores
        Scores of `AUM` from a training on `threshold_class` labels.
    positions : integer array
        Positions of the threshold class, which are no suspects.
    percentile : float
        Percentile of the AUM of the threshold class. Samples below it are suspects.

    Returns
    -------
    Suspects
        Suspects, most suspicious first. The threshold is on `Scores.suspicion`.

    Raises
    ------
    InvalidSettingError
        If the percentile is outside 0 … 100.
    InvalidDataError
        If positions are outside the data, or samples were never recorded.
    """
    if not 0 <= percentile <= 100:
        raise InvalidSettingError(f"percentile is {percentile}, and must be from 0 to 100")
    at = np.asarray(positions)
    if (
        at.ndim != 1
        or not len(at)
        or at.dtype.kind not in "iu"
        or at.min() < 0
        or at.max() >= len(scores)
    ):
        raise InvalidDataError(
            f"the positions are not those of samples 0 … {len(scores) - 1}; give those of "
            "threshold_class"
        )
    suspicion = scores.suspicion()
    if np.isnan(suspicion[at]).any():
        raise InvalidDataError(
            "some samples of the threshold class were never recorded; record the whole training"
        )
    cut = float(np.percentile(suspicion[at], 100 - percentile))
    reason = f"the {percentile:g}th percentile of {len(at)} samples of the threshold class"
    ranking = scores.ranking()
    chosen = ranking[(suspicion[ranking] > cut) & ~np.isin(ranking, at)]
    return Suspects(chosen, Threshold(cut, "quantile", reason))
