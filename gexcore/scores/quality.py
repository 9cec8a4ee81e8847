"""Quality of labels: their agreement with predicted probabilities (Northcutt et al. 2021)."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np

from gexcore.backend.protocols import Floats
from gexcore.errors import InvalidSettingError, MissingExtraError
from gexcore.scores.joint import ROUNDING, checked_probabilities, confident_thresholds
from gexcore.settings import check_choice

Quality = Literal["self_confidence", "normalized_margin", "confidence_weighted_entropy"]
"""Names of qualities of the given label ỹ.

"self_confidence" is p̂_ỹ. "normalized_margin" is (p̂_ỹ − max_{k≠ỹ} p̂_k + 1) / 2.
"confidence_weighted_entropy" is log(1 + H / p̂_ỹ) / (H / p̂_ỹ), where H is the entropy divided by
ln K.
"""


def label_quality(
    labels: Any, probabilities: Any, *, method: Quality = "self_confidence", adjusted: bool = False
) -> Floats:
    """Quality of labels from 0 to 1, shape (samples,); low = probably mislabelled.

    Parameters
    ----------
    labels, probabilities
        The arguments of `confident_thresholds`, with the same errors.
    method : {"self_confidence", "normalized_margin", "confidence_weighted_entropy"}
    adjusted : bool
        Whether the threshold of each class is subtracted from the probabilities first. It helps
        classes of unequal frequency or difficulty. The entropy does not allow it.

    Examples
    --------
    >>> from gexcore.scores import label_quality
    >>> label_quality([0, 1], [[0.75, 0.25], [0.75, 0.25]])
    array([0.75, 0.25])
    """
    check_quality(method, adjusted=adjusted)
    given, p = checked_probabilities(labels, probabilities)
    if adjusted:
        thresholds = confident_thresholds(given, p)
        p = p - thresholds + thresholds.max()
        p /= p.sum(axis=1, keepdims=True)
    rows = np.arange(len(p))
    own = p[rows, given]
    if method == "self_confidence":
        return own
    if method == "normalized_margin":
        others = p.copy()
        others[rows, given] = -np.inf
        return np.asarray((own - others.max(axis=1) + 1) / 2)
    # 0 · log 0 = 0
    entropy = -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=1) / np.log(p.shape[1])
    ratio = entropy / np.maximum(own, ROUNDING)
    return np.asarray(np.log1p(ratio) / np.maximum(ratio, ROUNDING))


def cleanlab_quality() -> Callable[..., Floats]:
    """The `label_quality` of cleanlab.

    Raises
    ------
    MissingExtraError
        If cleanlab is not installed.
    """
    try:
        theirs = importlib.import_module("cleanlab.rank").get_label_quality_scores
    except ImportError as error:
        raise MissingExtraError(
            "through='cleanlab' needs cleanlab; try: pip install cleanlab"
        ) from error

    def judge(labels: Any, probabilities: Any, *, method: Quality, adjusted: bool) -> Floats:
        return np.asarray(theirs(labels, probabilities, method=method, adjust_pred_probs=adjusted))

    return judge


def check_quality(method: Any, *, adjusted: bool) -> None:
    """Refuse an unknown quality.

    Raises
    ------
    InvalidSettingError
    """
    check_choice("quality", method, get_args(Quality))
    if adjusted and method == "confidence_weighted_entropy":
        msg = (
            "adjusted probabilities have no meaningful entropy; choose 'self_confidence' or "
            "'normalized_margin', or adjusted=False"
        )
        raise InvalidSettingError(msg)
