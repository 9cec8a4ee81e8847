"""Noise rates: the share of wrong labels, as far as a threshold or the members show it."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.cuts import MIN_SAMPLES
from gexcore.decisions.otsu import check_scores
from gexcore.decisions.threshold import TOLD_A_RATE, ThresholdMethod, above, find_threshold
from gexcore.errors import InvalidSettingError

TINY = 0.05
"""The least width of the odds of right labels."""

CLEAR = math.log(2.0)
"""Log odds of a clear doubt: another class is twice as probable as the given one."""

MOST_ERRORS = 0.2
"""The largest part of clear doubts that may be the tail of right labels."""

COLDEST = -4.0
"""The least median of the log odds: members below it doubt nothing."""

WRONG_PER_DOUBT = {True: 2.0, False: 4.0}
"""The most wrong labels for each doubt, where doubts are clear and where they are not.

Members then doubt at least a half, or a quarter, of the wrong labels.
"""

MOST = 0.5
"""The largest upper end without clear doubts: above it nothing is said."""


class NoiseRate(NamedTuple):
    """An estimated share of wrong labels. All numbers are NaN if nothing can be said.

    Parameters
    ----------
    estimate : float
    low, high : float
        Ends of its interval.
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
    _check_interval(level, draws)
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


def _check_interval(level: float, draws: int) -> None:
    if not (0 < level < 1 and draws >= 1):
        msg = (
            f"level is {level} and draws {draws}; the level must be between 0 and 1, and draws "
            "at least 1"
        )
        raise InvalidSettingError(msg)


def noise_rate_of_odds(
    odds: Any, *, level: float = 0.95, draws: int = 100, seed: int = 0
) -> NoiseRate:
    """The share of wrong labels, from the log odds of the best other class against the given one.

    A sample is doubted if its log odds are above 0: members would give it another label. Doubts are
    clear if half of them have odds of 2 or more, and at most a fifth is the expected tail of right
    labels. The estimate is the doubted share less that tail. The lower end counts strong doubts
    only. The upper end takes it that members doubt at least half of the wrong labels, or a quarter
    if doubts are not clear. Both ends are quantiles over resampled data.

    It refuses, with NaN, fewer than 50 samples. It also refuses if doubts are not clear, and
    members doubt nothing at all or the upper end would be above one half.

    Parameters
    ----------
    odds : array, shape (samples,)
        Natural logarithms of odds.
    level, draws, seed
        The arguments of `noise_rate`.

    Raises
    ------
    InvalidSettingError
        If the level or the number of draws is out of range.
    InvalidDataError
        If odds are not finite, or there are none.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.decisions.noise_rate import noise_rate_of_odds
    >>> rng = np.random.default_rng(0)
    >>> odds = np.concatenate([rng.normal(-2.0, 0.6, 900), rng.normal(1.2, 0.6, 100)])
    >>> [round(share, 2) for share in noise_rate_of_odds(odds)]
    [0.1, 0.07, 0.23]
    """
    _check_interval(level, draws)
    odds = np.asarray(odds, dtype=np.float64)
    check_scores(odds)
    doubted, tail, middle, clear = _doubts(odds)
    most = WRONG_PER_DOUBT[clear]
    if len(odds) < MIN_SAMPLES or (not clear and (middle < COLDEST or most * doubted > MOST)):
        return NoiseRate(math.nan, math.nan, math.nan)
    rng = np.random.default_rng(seed)
    lows, highs = np.empty(draws), np.empty(draws)
    for draw in range(draws):
        drawn = odds[rng.integers(0, len(odds), len(odds))]
        lows[draw], highs[draw] = _surely(drawn, clear=clear), most * (drawn > 0).mean()
    low = float(np.quantile(lows, (1 - level) / 2))
    # three more: no doubt at all among n samples leaves a rate of 3 / n possible
    high = min(1.0, float(np.quantile(highs, (1 + level) / 2)) + 3 / len(odds))
    estimate = doubted - tail if clear else (_surely(odds, clear=False) + doubted) / 2
    return NoiseRate(float(np.clip(estimate, low, high)), low, high)


def _doubts(odds: NDArray[np.float64]) -> tuple[float, float, float, bool]:
    """The doubted share, its tail of right labels, the median, and whether doubts are clear.

    Right labels are taken to be normal above their median, as wide as their upper quarter says.
    """
    upper = odds[odds > 0]
    doubted = len(upper) / len(odds)
    if doubted == 1.0:
        return 1.0, 1.0, 0.0, False
    middle, quarter = np.quantile(odds[odds <= 0], [0.5, 0.75])
    width = max((quarter - middle) / NormalDist().inv_cdf(0.75), TINY)
    tail = (1 - doubted) * NormalDist().cdf(float(middle / width))
    clear = len(upper) > 0 and np.median(upper) >= CLEAR and tail <= MOST_ERRORS * doubted
    return doubted, tail, float(np.median(odds)), bool(clear)


def _surely(odds: NDArray[np.float64], *, clear: bool) -> float:
    """The share of strong doubts, less what right labels may have there."""
    if clear:
        upper = odds[odds > 0]
        return float((odds > np.median(upper) / 2).mean()) if len(upper) else 0.0
    # right labels have at most half as many doubts above odds of 2 as below
    strong = float((odds > CLEAR).mean())
    return max(0.0, strong - (float((odds > 0).mean()) - strong) / 2)
