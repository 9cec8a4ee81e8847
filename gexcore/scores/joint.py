"""Confusion of classes, from labels and predicted probabilities (Northcutt et al. 2021)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.protocols import Floats
from gexcore.errors import InvalidDataError
from gexcore.settings import check_choice

ROUNDING = 1e-6
"""Tolerance of a probability below its threshold, as in cleanlab."""

OUT_OF_REACH = 2.0
"""Threshold of a class without samples."""


def confident_thresholds(labels: Any, probabilities: Any) -> Floats:
    """Mean probability of each class over its samples, shape (K,).

    Parameters
    ----------
    labels : integer array, shape (samples,)
    probabilities : array, shape (samples, K)
        Probabilities from models that were not trained on the sample.

    Raises
    ------
    InvalidDataError
        If labels are no classes of the probabilities, or rows are no probabilities.

    Examples
    --------
    >>> from gexcore.scores import confident_thresholds
    >>> confident_thresholds([0, 0, 1], [[0.75, 0.25], [0.25, 0.75], [0.0, 1.0]])
    array([0.5, 1. ])
    """
    given, p = checked_probabilities(labels, probabilities)
    count = np.bincount(given, minlength=p.shape[1])
    total = np.bincount(given, weights=p[np.arange(len(p)), given], minlength=p.shape[1])
    return np.where(count > 0, np.maximum(total / np.maximum(count, 1), 2 * ROUNDING), OUT_OF_REACH)


def confident_joint(
    labels: Any,
    probabilities: Any,
    *,
    calibrate: bool = True,
    among: Literal["confident", "all"] = "confident",
) -> Floats:
    """Counts by given class (rows) and confidently predicted class, shape (K, K).

    A sample counts if at least one probability reaches the threshold of its class. Every class
    counts at least once on the diagonal.

    Parameters
    ----------
    labels, probabilities
        The arguments of `confident_thresholds`, with the same errors.
    calibrate : bool
        Whether to scale each row to the number of samples of its class.
    among : {"confident", "all"}
        Choice between several classes that reach their thresholds. "confident" takes the most
        probable of them. "all" takes the most probable of all classes, as cleanlab does, even below
        its own threshold.

    Examples
    --------
    >>> from gexcore.scores import confident_joint
    >>> confident_joint([0, 0, 0, 1], [[0.9, 0.1], [0.6, 0.4], [0.0, 1.0], [0.2, 0.8]])
    array([[2., 1.],
           [0., 1.]])
    """
    check_choice("among", among, ("confident", "all"))
    given, p = checked_probabilities(labels, probabilities)
    k = p.shape[1]
    reached = p >= confident_thresholds(given, p) - ROUNDING
    count = reached.sum(axis=1)
    guess = np.where(reached, p, -1.0).argmax(axis=1)
    if among == "all":
        guess = np.where(count > 1, p.argmax(axis=1), guess)
    cells = (given * k + guess)[count > 0]
    joint = np.bincount(cells, minlength=k * k).reshape(k, k).astype(np.float64)
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1))
    if calibrate:
        joint *= (np.bincount(given, minlength=k) / joint.sum(axis=1))[:, None]
    return joint


def checked_probabilities(labels: Any, probabilities: Any) -> tuple[NDArray[np.intp], Floats]:
    """Labels and probabilities, refused if they are no labels or no probabilities."""
    given = np.asarray(labels)
    try:
        p = np.asarray(probabilities, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidDataError(
            "the probabilities are no numbers; give an array of shape (samples, K)"
        ) from error
    if p.ndim != 2 or p.shape[1] < 2 or given.shape != p.shape[:1]:
        msg = (
            f"labels and probabilities have shapes {given.shape} and {p.shape}; give (samples,) "
            "and (samples, K)"
        )
        raise InvalidDataError(msg)
    if (
        given.dtype.kind not in "iu"
        or not len(given)
        or given.min() < 0
        or given.max() >= p.shape[1]
    ):
        raise InvalidDataError(
            f"some labels are no classes; give integers 0 … {p.shape[1] - 1}, one per sample"
        )
    bad = ~((p >= 0).all(axis=1) & (np.abs(p.sum(axis=1) - 1) <= 1e-3))
    if bad.any():
        msg = (
            f"{int(bad.sum())} rows are no probabilities, first that of sample "
            f"{int(bad.argmax())}; every sample needs a row of class probabilities that sum to "
            "one: score each exactly once, out of sample"
        )
        raise InvalidDataError(msg)
    return given.astype(np.intp), p
