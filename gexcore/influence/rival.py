"""The rival score: the odds between the given class and the most probable other class."""

from __future__ import annotations

import numpy as np

from gexcore.backend.protocols import Floats
from gexcore.influence.transition import Labels


def rival_offsets(labels: Labels, q: Floats) -> Floats:
    """The log share of the most probable other class in all others, shape (samples,).

    With it, the log odds log (1 − p) − log p become log (max q_k ÷ p) over the other classes k.

    Parameters
    ----------
    labels : integer array, shape (samples,)
    q : array, shape (samples, K)
        Class probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.influence.rival import rival_offsets
    >>> rival_offsets(np.array([0]), np.array([[0.6, 0.3, 0.1]])).round(3)
    array([-0.288])
    """
    rows = np.arange(len(labels))
    others = q.copy()
    others[rows, labels] = 0.0
    return np.asarray(np.log(others.max(axis=1)) - np.log(1 - q[rows, labels]))
