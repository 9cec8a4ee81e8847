"""The confusion score: the odds of a wrong label, by confusions that doubts do not explain.

A wrong label tells more if many samples of its class are labelled so. But the members confuse
classes that look alike too, and that tells nothing of labels. Such doubts go both ways, and
labelling errors often go one way. So the samples count that doubts do not explain.
"""

from __future__ import annotations

import numpy as np

from gexcore.backend.protocols import Floats
from gexcore.influence.transition import Labels, confused, likely_class

POWER = 0.5
"""Power of the probabilities that the mean over members is taken of.

With 1, one member that has learned a wrong label hides it. With powers near 0, one member that has
not learned a right label decides.
"""

EXTRA = 1.0
"""Samples that are added to each count, besides its error. So few samples have small lifts."""

MARGIN = 1.5
"""Samples that one doubt explains: more than one, since doubts are estimates."""

MOST_WRONG = 0.5
"""The largest share of wrong labels."""


def doubts(likely: Labels, q: Floats) -> Floats:
    """How many samples of each likely class the members take for each class, shape (K, K)."""
    k = q.shape[1]
    return np.stack([np.bincount(likely, weights=column, minlength=k) for column in q.T], axis=1)


def lifts(labels: Labels, q: Floats) -> Floats:
    """How many times as often as equal confusions class k is given label y, shape (K, K).

    C counts samples by their likely class and their label. Three numbers make the lift:

    - doubts ν: the smaller one of the doubts that k is y and that y is k. They are scaled to as
      many samples as are confused in all.
    - excess X: the samples of C beyond 1.5 ν and one standard error √ν;
    - equal confusions e: the excess of all pairs, shared by the samples of class k alike.

    The lift is (max(X, min(C, e)) + a) ÷ (e + a), with a = 1 + √ν. So it is 1 where doubts explain
    the confusion, and below 1 where there are fewer than equal confusions. That of a class and
    itself is 1.

    Parameters
    ----------
    labels : integer array, shape (samples,)
    q : array, shape (samples, K)
        Class probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.influence.confusions import lifts
    >>> given = np.repeat([0, 1, 1, 2], 100)  # a half of the label 1 is of class 0
    >>> q = np.repeat([[0.9, 0.1, 0], [0, 1, 0], [0.9, 0.1, 0], [0, 0, 1]], 100, axis=0)
    >>> lifts(given, q).round(2)
    array([[1.  , 3.88, 0.04],
           [0.07, 1.  , 0.07],
           [0.07, 0.07, 1.  ]])
    """
    k = q.shape[1]
    likely = likely_class(labels, q)
    counts, doubted = confused(labels, likely, k), doubts(likely, q)
    wrong, unsure = (float(x.sum() - np.trace(x)) for x in (counts, doubted))
    explained = np.minimum(doubted, doubted.T) * (wrong / max(unsure, np.finfo(float).tiny))
    error = np.sqrt(explained)
    excess = np.maximum(counts - MARGIN * explained - error, 0.0)
    np.fill_diagonal(excess, 0.0)
    rate = min(float(excess.sum()) / len(labels), MOST_WRONG)
    equal = counts.sum(axis=1, keepdims=True) * rate / (k - 1)
    lift = (np.maximum(excess, np.minimum(counts, equal)) + EXTRA + error) / (equal + EXTRA + error)
    np.fill_diagonal(lift, 1.0)
    return np.asarray(lift)
