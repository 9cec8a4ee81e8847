"""Pruning curves: accuracy against the share of samples kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.prune import prune, random_subset

TrainAndScore = Callable[[NDArray[np.intp]], float]
"""A function that trains on the samples at these positions and gives the test accuracy."""


class CurvePoint(NamedTuple):
    """One share of a pruning curve.

    Parameters
    ----------
    keep : float
    samples : int
    accuracy : float
        Accuracy after training on the samples of highest score.
    random : float
        Accuracy after training on as many random samples.
    """

    keep: float
    samples: int
    accuracy: float
    random: float


def pruning_curve(
    train: TrainAndScore,
    scores: Any,
    keep: Sequence[float] = (1.0, 0.9, 0.7, 0.5, 0.3),
    *,
    labels: Any = None,
    class_quota: bool = False,
    seed: int = 0,
) -> list[CurvePoint]:
    """Train on smaller and smaller parts of the data, by score and at random.

    Parameters
    ----------
    train : callable
        ``train(positions) -> accuracy``.
    scores, labels, class_quota
        The arguments of `prune`.
    keep : sequence of float
        Shares to keep. All are checked before the first training.
    seed : int
        Seed of the random subsets.

    Examples
    --------
    >>> from gexcore.decisions.curve import pruning_curve
    >>> curve = pruning_curve(lambda positions: positions.mean(), [0, 1, 2, 3], [1.0, 0.5])
    >>> [(point.samples, float(point.accuracy)) for point in curve]
    [(4, 1.5), (2, 2.5)]
    """
    n, quota = len(scores), {"labels": labels, "class_quota": class_quota}
    plans = [
        (share, prune(scores, share, **quota), random_subset(n, share, seed=seed, **quota))
        for share in keep
    ]
    points = []
    for share, best, drawn in plans:
        accuracy = float(train(best))
        points.append(
            CurvePoint(
                share, len(best), accuracy, float(train(drawn)) if len(drawn) < n else accuracy
            )
        )
    return points
