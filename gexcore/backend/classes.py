"""Class scores before the softmax, and their probabilities."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.protocols import Floats

Real = TypeVar("Real", bound="np.floating[Any]")


def class_scores(logits: NDArray[Any], samples: int) -> Floats:
    """Logits in float64, shape (samples, K) with K ≥ 2.

    Binary models may give one score per sample, of shape (samples,) or (samples, 1). It is the
    score of class 1, and class 0 then has the score 0.
    """
    scores = np.asarray(logits, dtype=np.float64).reshape(samples, -1)
    return np.hstack([np.zeros_like(scores), scores]) if scores.shape[1] == 1 else scores


def closed_by(outputs: NDArray[Any], axis: int | None = None) -> bool:
    """Whether outputs look like probabilities: in 0 … 1, and of sum 1 along an axis if given."""
    if outputs.dtype.kind != "f" or not outputs.size or not np.isfinite(outputs).all():
        return False
    if outputs.min() < 0 or outputs.max() > 1 + 1e-6:
        return False
    digits = 1e-4 if outputs.dtype.itemsize >= 4 else 4e-3
    return axis is None or bool(np.abs(outputs.sum(axis=axis) - 1).max() <= digits)


def softmax(scores: NDArray[Real]) -> NDArray[Real]:
    """Class probabilities, shape (samples, K)."""
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(p / p.sum(axis=1, keepdims=True))
