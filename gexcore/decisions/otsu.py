"""Otsu's threshold over all cuts between values, not over bins of a histogram."""

from __future__ import annotations

from typing import Any, NamedTuple

from array_api_compat import array_namespace

from gexcore.errors import InvalidDataError


class OtsuCut(NamedTuple):
    """A two-way split of scores.

    Parameters
    ----------
    value : float
        Threshold half-way between the neighbours of the cut. Scores above it are the upper part.
    eta : float
        Share of the variance that lies between the parts, in (0, 1].
    ashman_d : float
        Distance of the two means in units of their spread, √2 |μ₀ − μ₁| / √(σ₀² + σ₁²).
    upper : int
        Number of scores above the cut.
    """

    value: float
    eta: float
    ashman_d: float
    upper: int


def otsu(scores: Any) -> OtsuCut | None:
    """The cut that maximises the between-class variance ω₀ω₁(μ₀ − μ₁)² (definitions: Otsu 1979).

    Parameters
    ----------
    scores : array, shape (samples,)
        Finite scores of any array library.

    Returns
    -------
    OtsuCut or None
        None if all scores are equal: there is nothing to cut.

    Raises
    ------
    InvalidDataError
        If scores are not finite, or there are none.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.decisions.otsu import otsu
    >>> otsu(np.array([0.0, 0.1, 0.2, 5.0])).value
    2.6
    """
    xp = array_namespace(scores)
    check_scores(scores)
    ordered = xp.sort(
        scores, stable=False
    )  # the sort need not be stable, and this one is several times faster
    lowest, highest = ordered[0], ordered[-1]
    spread = highest - lowest
    if not float(spread) > 0:
        return None
    x = (ordered - lowest) / spread  # shift and scale cannot change the cut
    n = x.shape[0]
    count = xp.arange(1, n, dtype=x.dtype, device=_device(x))
    sums = xp.cumulative_sum(x)
    lower_sum, total = sums[:-1], sums[-1]
    excess = (
        count * (total / n) - lower_sum
    )  # the share that the lower part would hold if both parts were alike
    between = excess * excess / (count * (n - count))
    best = _between_values(xp, x, between, int(xp.argmax(between)))
    lower, upper = x[: best + 1], x[best + 1 :]
    variances = _variance(xp, lower), _variance(xp, upper)
    share = (best + 1) / n
    gap = float(excess[best]) / (share * (1 - share) * n)
    explained, left = float(between[best]), share * variances[0] + (1 - share) * variances[1]
    middle = (ordered[best] + ordered[best + 1]) / 2
    within = sum(variances)
    return OtsuCut(
        # neighbouring floats have no middle, and rounding may give the upper one
        value=float(middle if middle < ordered[best + 1] else ordered[best]),
        eta=explained / (explained + left) if explained + left > 0 else 1.0,
        ashman_d=2**0.5 * abs(gap) / within**0.5 if within > 0 else float("inf"),
        upper=n - best - 1,
    )


def _between_values(xp: Any, x: Any, between: Any, best: int) -> int:
    """The better end of the run of equal values around a cut: no place in between is better."""
    if x[best] < x[best + 1]:
        return best
    value = x[best : best + 1]
    ends = (
        int(xp.searchsorted(x, value)[0]) - 1,
        int(xp.searchsorted(x, value, side="right")[0]) - 1,
    )
    return max(
        (end for end in ends if 0 <= end < between.shape[0]), key=lambda end: float(between[end])
    )


def check_scores(scores: Any) -> None:
    """Refuse scores in which no threshold can be found.

    Raises
    ------
    InvalidDataError
        If scores are not finite, or there are none.
    """
    xp = array_namespace(scores)
    if scores.shape[0] == 0 or not bool(xp.all(xp.isfinite(scores))):
        msg = (
            "a threshold needs at least one score and only finite ones; leave out what was not "
            "scored"
        )
        raise InvalidDataError(msg)


def _variance(xp: Any, x: Any) -> float:
    return float(xp.mean((x - xp.mean(x)) ** 2))


def _device(array: Any) -> Any:
    from array_api_compat import device

    return device(array)
