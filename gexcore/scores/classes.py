"""Margins and errors of the given class from logits: pure functions on NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.classes import softmax
from gexcore.backend.protocols import Floats


def margins(scores: Floats, labels: NDArray[Any]) -> Floats:
    """Score of the given class minus the largest other score, shape (samples,).

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
