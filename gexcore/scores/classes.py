"""What logits say of the given class: pure functions on NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def class_scores(logits: NDArray[Any], samples: int) -> Floats:
    """Logits in float64, shape (samples, K) with K ≥ 2.

    One score per sample, of shape (samples,) or (samples, 1), is that of class 1, as binary
    cross-entropy takes it; class 0 then has 0.
    """
    scores = np.asarray(logits, dtype=np.float64).reshape(samples, -1)
    return np.hstack([np.zeros_like(scores), scores]) if scores.shape[1] == 1 else scores


def softmax(scores: Floats) -> Floats:
    """Class probabilities, shape (samples, K)."""
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def margins(scores: Floats, labels: NDArray[Any]) -> Floats:
    """Score of the given class minus the largest of the others, shape (samples,).

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.scores.classes import margins
    >>> margins(np.array([[3.0, 1.0, 0.0], [3.0, 1.0, 0.0]]), np.array([0, 2]))
    array([ 2., -3.])
    """
    rows = np.arange(len(scores))
    others = np.array(scores)
    others[rows, labels] = -np.inf
    return np.asarray(scores[rows, labels] - others.max(axis=1))


def error_norms(scores: Floats, labels: NDArray[Any]) -> Floats:
    """‖softmax(scores) − one-hot label‖₂, shape (samples,), from 0 to √2.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.scores.classes import error_norms
    >>> error_norms(np.array([[0.0, 0.0], [90.0, 0.0]]), np.array([0, 1])).round(3)
    array([0.707, 1.414])
    """
    p = softmax(scores)
    p[np.arange(len(p)), labels] -= 1.0
    return np.asarray(np.linalg.norm(p, axis=1))
