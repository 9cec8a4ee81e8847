"""Noise rates: the share of wrong labels, as far as a threshold shows it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.threshold import TOLD_A_RATE, ThresholdMethod, above, find_threshold
from gexcore.errors import InvalidSettingError


class NoiseRate(NamedTuple):
    """An estimated share of wrong labels. All numbers are NaN if the threshold was refused.

    Parameters
    ----------
    estimate : float
        Share of the samples above the threshold.
    low, high : float
        Ends of its bootstrap interval.
    """

    estimate: float
    low: float
    high: float


def noise_rate(
    scores: Any,
    labels: Any = None,
    *,
    method: ThresholdMethod = "auto",
    level: float = 0.95,
    draws: int = 100,
    seed: int = 0,
) -> NoiseRate:
    """The share of samples above a threshold, with a bootstrap interval.

    Every draw takes as many samples with replacement and finds the threshold anew. A refused
    threshold counts as a rate of 0. So an interval that reaches 0 shows an unsure decision.

    The interval does not contain the bias of the scores. Wrong labels that the members never doubt
    bias the estimate, and so do right labels that they doubt.

    Parameters
    ----------
    scores, labels, method
        The arguments of `gexcore.decisions.threshold.find_threshold`, without the methods that take
        a rate.
    level : float
        Level of the interval.
    draws : int
        Number of draws. Each costs as much as finding the threshold once.
    seed : int

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.decisions.noise_rate import noise_rate
    >>> rng = np.random.default_rng(0)
    >>> scores = np.concatenate([rng.gamma(2.0, 0.05, 900), rng.normal(2.5, 0.2, 100)])
    >>> [round(share, 2) for share in noise_rate(scores)]
    [0.1, 0.08, 0.12]
    """
    if not (0 < level < 1 and draws >= 1):
        msg = (
            f"level is {level} and draws {draws}; the level must be between 0 and 1, and draws "
            "at least 1"
        )
        raise InvalidSettingError(msg)
    if method in TOLD_A_RATE:
        raise InvalidSettingError(
            f"method {method!r} is told a rate and estimates none; use 'auto' or 'mixture'"
        )
    scores = np.asarray(scores, dtype=np.float64)
    labels = None if labels is None else np.asarray(labels)

    def share(chosen: Any) -> float:
        drawn = scores[chosen]
        given = None if labels is None else labels[chosen]
        found = find_threshold(drawn, given, method=method)
        return math.nan if found.value is None else float(above(drawn, given, found).mean())

    estimate = share(slice(None))
    if math.isnan(estimate):
        return NoiseRate(math.nan, math.nan, math.nan)
    rng = np.random.default_rng(seed)
    shares: NDArray[np.float64] = np.array(
        [share(rng.integers(0, len(scores), len(scores))) for _ in range(draws)]
    )
    low, high = np.quantile(np.nan_to_num(shares), [(1 - level) / 2, (1 + level) / 2]).tolist()
    return NoiseRate(estimate, low, high)
