"""The transition score: the odds of a wrong label, from the confusions of a data set.

A wrong label tells more if many samples of its class are labelled so. The matrix T of a data set
holds how often each class is given each label. It is estimated as confident learning does
(Northcutt et al. 2021), from the probabilities of the members, and drawn towards equal confusions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.protocols import Floats

Labels = NDArray[np.intp]

SHARE = 0.1
"""Share of θ* in the probabilities. It knows what the members forgot."""

PRIOR = 32.0
"""Samples of equal confusions that are added for each pair of classes."""

RATES = (0.01, 0.5)
"""The least and the largest share of wrong labels in the prior."""

TINY = 1e-12
"""The least probability; odds are finite."""


def with_given(labels: Labels, given: Floats, shape: Floats) -> Floats:
    """Class probabilities with a known probability of the given class, shape (samples, K).

    Parameters
    ----------
    labels : integer array, shape (samples,)
    given : array, shape (samples,)
        Probability of the given class.
    shape : array, shape (samples, K)
        The other classes share the rest in these proportions.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.influence.transition import with_given
    >>> with_given(np.array([0]), np.array([0.6]), np.array([[0.9, 0.075, 0.025]])).round(3)
    array([[0.6, 0.3, 0.1]])
    """
    rows = np.arange(len(labels))
    q = np.asarray(shape, dtype=np.float64) + TINY
    q[rows, labels] = 0.0
    p = np.clip(given, TINY, 1 - TINY)
    q *= ((1 - p) / q.sum(axis=1))[:, None]
    q[rows, labels] = p
    return q


def likely_class(labels: Labels, q: Floats) -> Labels:
    """The class of each sample by its probabilities, shape (samples,).

    It is the class whose probability is largest compared with its mean over the samples that are
    given this class. A class that is never given is no class of a sample.
    """
    k = q.shape[1]
    sizes = np.bincount(labels, minlength=k)
    own = np.bincount(labels, weights=q[np.arange(len(labels)), labels], minlength=k)
    usual = np.where(sizes > 0, np.maximum(own / np.maximum(sizes, 1), TINY), np.inf)
    return np.asarray((q / usual).argmax(axis=1))


def confused(labels: Labels, likely: Labels, k: int) -> Floats:
    """How many samples of each likely class are given each label, shape (K, K)."""
    return np.bincount(likely * k + labels, minlength=k * k).reshape(k, k).astype(np.float64)


def transition_matrix(labels: Labels, q: Floats) -> Floats:
    """How often a sample of class k is given label y, shape (K, K); rows sum to one.

    A sample counts for its likely class, see `likely_class`. The counts are the data of a Dirichlet
    posterior. Its prior has equal confusions at the rate of the whole data set.

    Parameters
    ----------
    labels : integer array, shape (samples,)
    q : array, shape (samples, K)
        Class probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.influence.transition import transition_matrix
    >>> given = np.repeat([0, 1, 1], 100)
    >>> q = np.repeat([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1]], 100, axis=0)
    >>> transition_matrix(given, q).round(2)
    array([[0.54, 0.46],
           [0.13, 0.87]])
    """
    k = q.shape[1]
    counts = (
        np.bincount(likely_class(labels, q) * k + labels, minlength=k * k)
        .reshape(k, k)
        .astype(np.float64)
    )
    rate = np.clip(1 - np.trace(counts) / len(labels), *RATES)
    prior = np.full((k, k), rate / (k - 1))
    np.fill_diagonal(prior, 1 - rate)
    return np.asarray(
        (counts + PRIOR * k * prior) / (counts.sum(axis=1, keepdims=True) + PRIOR * k)
    )


def transition_offsets(labels: Labels, q: Floats, matrix: Floats) -> Floats:
    """What a transition matrix T adds to the log odds of each label, shape (samples,).

    The lift is T divided by equal confusions of the same total, see `offsets_of`.
    """
    return offsets_of(labels, q, _lift(matrix))


def offsets_of(labels: Labels, q: Floats, lift: Floats) -> Floats:
    """What the confusions add to the log odds of each label, shape (samples,).

    The log odds are log (1 − p) − log p plus this offset, where p is the probability of the given
    class y. The offset is log Σ q_k λ[k, y] ÷ (1 − p) over the other classes k, less log λ[y, y].
    With equal lifts λ the offset is zero.

    Parameters
    ----------
    labels : integer array, shape (samples,)
    q : array, shape (samples, K)
        Class probabilities.
    lift : array, shape (K, K)
        How many times as often as expected class k is given label y.
    """
    joint = q * lift[:, labels].T
    rows = np.arange(len(labels))
    rest = 1 - q[rows, labels]
    joint[rows, labels] = 0.0
    return np.asarray(np.log(joint.sum(axis=1) / rest) - np.log(lift[labels, labels]))


class Confusion(NamedTuple):
    """The largest confusion of a data set.

    Parameters
    ----------
    true, given : int
        Samples of class `true` are given the label `given`.
    lift : float
        How many times as often as expected.
    second : float
        The second largest such number.
    """

    true: int
    given: int
    lift: float
    second: float


def largest_confusion(lift: Floats) -> Confusion:
    """The largest confusion of at least three classes, from the lifts of all pairs."""
    others = lift * (1 - np.eye(len(lift)))
    order = np.argsort(-others, axis=None, kind="stable")[:2]
    true, given = np.unravel_index(order[0], lift.shape)
    largest, second = others.ravel()[order]
    return Confusion(int(true), int(given), float(largest), float(second))


def _lift(matrix: Floats) -> Floats:
    """T divided by equal confusions of the same total."""
    right = np.diagonal(matrix).mean()
    lift = matrix * ((len(matrix) - 1) / (1 - right))
    np.fill_diagonal(lift, np.diagonal(matrix) / right)
    return np.asarray(lift)


def likely_other(labels: Labels, q: Floats, lift: Floats) -> Labels:
    """The class that a label most probably came from if it is wrong, shape (samples,)."""
    joint = q * lift[:, labels].T
    joint[np.arange(len(labels)), labels] = -1.0
    return np.asarray(joint.argmax(axis=1))


def offsets_by_class(labels: Labels, given: Floats, classes: int) -> Floats:
    """Offsets like `transition_offsets`, from probabilities of given classes, shape (samples,).

    With two classes nothing is missing, and both are equal. With more, T[k, y] is taken to be the
    same for all k. A label counts as wrong if its probability is below half of the median of its
    class.
    """
    if classes == 2:
        q = with_given(labels, given, np.ones((len(labels), 2)))
        return transition_offsets(labels, q, transition_matrix(labels, q))
    sizes = np.bincount(labels, minlength=classes)
    medians = np.array([np.median(given[labels == c]) if sizes[c] else 0.0 for c in range(classes)])
    wrong = given < medians[labels] / 2
    rate = np.clip(wrong.mean(), *RATES) / (classes - 1)
    prior = PRIOR * classes**2
    counts = np.bincount(labels, weights=wrong, minlength=classes)
    rates = (counts + prior * rate) / (len(labels) - sizes + prior)
    return np.asarray(np.log(rates / rates.mean())[labels])
