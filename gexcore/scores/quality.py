"""How well labels agree with predicted probabilities (Northcutt et al. 2021)."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np

from gexcore.backend.protocols import Floats
from gexcore.errors import InvalidSettingError, MissingExtraError
from gexcore.scores.joint import ROUNDING, checked, confident_thresholds

Quality = Literal["self_confidence", "normalized_margin", "confidence_weighted_entropy"]
"""p̂_ỹ; (p̂_ỹ − max_{k≠ỹ} p̂_k + 1) / 2; log(1 + H / p̂_ỹ) / (H / p̂_ỹ), H being the entropy
divided by ln K."""


def label_quality(
    labels: Any, probabilities: Any, *, method: Quality = "self_confidence", adjusted: bool = False
) -> Floats:
    """How well each label agrees with the probabilities, from 0 to 1, low = probably mislabelled,
    shape (samples,).

    Parameters
    ----------
    labels, probabilities
        As for `confident_thresholds`, which also tells the errors.
    method : {"self_confidence", "normalized_margin", "confidence_weighted_entropy"}
    adjusted : bool
        Subtract each class's threshold from the probabilities first, for classes of unequal
        frequency or difficulty; not with the entropy.

    Examples
    --------
    >>> from gexcore.scores import label_quality
    >>> label_quality([0, 1], [[0.75, 0.25], [0.75, 0.25]])
    array([0.75, 0.25])
    """
    check_quality(method, adjusted=adjusted)
    given, p = checked(labels, probabilities)
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
    """`label_quality` as cleanlab computes it.

    Raises
    ------
    MissingExtraError
        Where it is not installed.
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
    """Refuse what is no way to judge a label.

    Raises
    ------
    InvalidSettingError
    """
    allowed = get_args(Quality)
    if method not in allowed:
        raise InvalidSettingError(f"quality is {method!r}; allowed are {', '.join(allowed)}")
    if adjusted and method == "confidence_weighted_entropy":
        msg = (
            "adjusted probabilities have no meaningful entropy; choose 'self_confidence' or "
            "'normalized_margin', or adjusted=False"
        )
        raise InvalidSettingError(msg)
