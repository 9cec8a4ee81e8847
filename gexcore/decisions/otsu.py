"""Otsu's threshold, exactly: over all cuts between values, not over histogram bins."""

from __future__ import annotations

from typing import Any, NamedTuple

from array_api_compat import array_namespace

from gexcore.errors import InvalidDataError


class OtsuCut(NamedTuple):
    """A two-way split of scores.

    Parameters
    ----------
    value : float
        Half-way between the neighbours of the cut; scores above it are the upper part.
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
        Finite; of any array library.

    Returns
    -------
    OtsuCut or None
        None where all scores are equal: there is nothing to cut.

    Raises
    ------
    InvalidDataError
        For scores that are not finite, or none at all.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.decisions.otsu import otsu
    >>> otsu(np.array([0.0, 0.1, 0.2, 5.0])).value
    2.6
    """
    xp = array_namespace(scores)
    check_scores(scores)
    ordered = xp.sort(scores)
    lowest, highest = ordered[0], ordered[-1]
    spread = highest - lowest
    if not float(spread) > 0:
        return None
    x = (ordered - lowest) / spread  # shift and scale cannot change the cut
    n = x.shape[0]
    count = xp.arange(1, n, dtype=x.dtype, device=_device(x))
    lower_sum = xp.cumulative_sum(x)[:-1]
    total = xp.sum(x)
    mean_gap = lower_sum / count - (total - lower_sum) / (n - count)
    between = count * (n - count) * mean_gap**2 / n**2
    between = xp.where(x[1:] > x[:-1], between, xp.full_like(between, -1.0))
    best = int(xp.argmax(between))
    lower, upper = x[: best + 1], x[best + 1 :]
    within = _variance(xp, lower) + _variance(xp, upper)
    middle = (ordered[best] + ordered[best + 1]) / 2
    gap = abs(float(mean_gap[best]))
    variance = _variance(xp, x)
    return OtsuCut(
        # between neighbouring floats there is no middle, and rounding may choose the upper one
        value=float(middle if middle < ordered[best + 1] else ordered[best]),
        eta=min(1.0, float(between[best]) / variance) if variance > 0 else 1.0,
        ashman_d=2**0.5 * gap / within**0.5 if within > 0 else float("inf"),
        upper=n - best - 1,
    )


def check_scores(scores: Any) -> None:
    """Refuse scores that no threshold can be found in.

    Raises
    ------
    InvalidDataError
        For scores that are not finite, or none at all.
    """
    xp = array_namespace(scores)
    if scores.shape[0] == 0 or not bool(xp.all(xp.isfinite(scores))):
        msg = "a threshold needs at least one score and only finite ones; leave out what was not scored"
        raise InvalidDataError(msg)


def _variance(xp: Any, x: Any) -> float:
    return float(xp.mean((x - xp.mean(x)) ** 2))


def _device(array: Any) -> Any:
    from array_api_compat import device

    return device(array)
