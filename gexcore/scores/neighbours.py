"""Nearest neighbours and their labels, in blocks of samples."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.protocols import Floats

Metric = Literal["euclidean", "cosine"]

MAX_NUMBERS = 2**22
"""The most distances in memory at once: 32 MB."""


def label_shares(
    points: NDArray[Any],
    labels: NDArray[np.intp],
    k: int,
    *,
    metric: Metric = "euclidean",
    include_self: bool = False,
    block: int | None = None,
) -> Floats:
    """Share of each class among the `k` nearest neighbours of each sample, shape (samples, K).

    Between samples at equal distances the first ones count.

    Parameters
    ----------
    points : array, shape (samples, …)
    labels : integer array, shape (samples,)
    k : int
        Number of neighbours, at most the number of samples that count.
    metric : {"euclidean", "cosine"}
    include_self : bool
        Whether a sample is its own nearest neighbour.
    block : int, optional
        Samples in a block. Any number gives the same shares.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.scores.neighbours import label_shares
    >>> label_shares(np.array([[0.0], [1.0], [3.0]]), np.array([0, 1, 1]), 1)
    array([[0., 1.],
           [1., 0.],
           [0., 1.]])
    """
    samples, classes = len(points), int(labels.max()) + 1
    given = np.asarray(points, dtype=np.float64).reshape(samples, -1)
    if metric == "cosine":
        # a point at the origin has no direction: it counts as orthogonal to all others
        lengths = np.linalg.norm(given, axis=1, keepdims=True)
        x = given = given / np.maximum(lengths, np.finfo(np.float64).tiny)
        square = np.ones(samples)
    else:
        x = given - given.mean(axis=0)  # expanded squares lose the fewest digits near the origin
        square = (x * x).sum(axis=1)
    size = block or max(1, MAX_NUMBERS // samples)
    lost = 4 * np.finfo(np.float64).eps * (x.shape[1] + 2)
    error = lost * (np.sqrt(square) + np.sqrt(square.max())) ** 2
    shares = np.empty((samples, classes))
    for start in range(0, samples, size):
        rows = np.arange(start, min(start + size, samples))
        # the squared distance, without the part that all neighbours of a sample share
        far = square - 2 * (x[rows] @ x.T)
        far[np.arange(len(rows)), rows] = -np.inf if include_self else np.inf
        near = np.argpartition(far, k - 1, axis=1)[:, :k]
        bound = np.take_along_axis(far, near, axis=1).max(axis=1) + error[rows]
        for at in np.flatnonzero((far <= bound[:, None]).sum(axis=1) > k):
            near[at] = _nearest(
                given, rows[at], np.flatnonzero(far[at] <= bound[at]), far[at], k, metric
            )
        cells = labels[near] + classes * np.arange(len(rows))[:, None]
        shares[rows] = (
            np.bincount(cells.ravel(), minlength=classes * len(rows)).reshape(-1, classes) / k
        )
    return shares


def _nearest(
    points: Floats, sample: int, others: NDArray[np.intp], far: Floats, k: int, metric: Metric
) -> NDArray[np.intp]:
    """The `k` nearest of some points, by exact distances. Between equals the first counts."""
    distances = ((points[others] - points[sample]) ** 2).sum(axis=1)
    if metric == "cosine":  # a point without a direction is at right angles to all
        distances[~(points[others].any(axis=1) & points[sample].any())] = 2.0
    distances[np.isinf(far[others])] = far[others][np.isinf(far[others])]  # the sample itself
    return others[np.argsort(distances, kind="stable")[:k]]
