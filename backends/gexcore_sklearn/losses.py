"""Outputs of estimators, and the loss of each sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.errors import InvalidModelError

Outputs = NDArray[Any]
"""Log-probabilities of a classifier, shape (b, K), or predictions of a regressor, (b, k)."""


def log_probabilities(p: NDArray[Any]) -> Outputs:
    """Logarithms of probabilities (b, K), each at least the machine epsilon."""
    p = np.asarray(p)
    p = p if p.dtype.kind == "f" else p.astype(np.float64)
    return np.asarray(np.log(np.maximum(p, np.finfo(p.dtype).eps)))


def log_softmax(scores: NDArray[Any]) -> Outputs:
    """Log-probabilities (b, K) of decisions of shape (b, K), or (b,) for two classes."""
    scores = np.column_stack([np.zeros_like(scores), scores]) if scores.ndim == 1 else scores
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def cross_entropy(outputs: Outputs, y: NDArray[Any]) -> NDArray[Any]:
    """−log p of class y, shape (b,)."""
    return np.asarray(-outputs[np.arange(len(y)), y])


def squared_error(outputs: Outputs, y: NDArray[Any]) -> NDArray[Any]:
    """Squared differences, summed over the outputs of a sample, shape (b,)."""
    return np.asarray(((outputs - y.reshape(len(y), -1)) ** 2).sum(axis=1))


def outputs_of(estimator: Any, *, classifies: bool) -> Callable[[Any, Any], Outputs]:
    """The function from (estimator, x) to outputs (b, K) or (b, k), for this type.

    Raises
    ------
    InvalidModelError
        If a classifier gives no scores.
    """
    if not classifies:
        return lambda e, x: _columns(np.asarray(e.predict(x)))
    if hasattr(estimator, "predict_proba"):
        return lambda e, x: log_probabilities(e.predict_proba(x))
    if hasattr(estimator, "decision_function"):
        return lambda e, x: log_softmax(np.asarray(e.decision_function(x)))
    msg = (
        f"{type(estimator).__name__} tells neither probabilities nor decisions, and a loss needs "
        "one of them; choose a classifier with predict_proba or decision_function"
    )
    raise InvalidModelError(msg)


def _columns(predictions: NDArray[Any]) -> Outputs:
    return predictions.reshape(len(predictions), -1)


def check_loss(loss: object, *, classifies: bool) -> None:
    """Refuse a loss that this kind of estimator does not have.

    Raises
    ------
    InvalidModelError
    """
    only = "cross_entropy" if classifies else "squared_error"
    if loss is not None and loss != only:
        kind = "classifier" if classifies else "regressor"
        told = repr(loss) if isinstance(loss, str) else f"of type {type(loss).__name__}"
        msg = f"the loss is {told}; a scikit-learn {kind} is scored by {only!r}: leave loss out"
        raise InvalidModelError(msg)
