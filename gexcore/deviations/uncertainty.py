"""Means over dependent members, and their standard errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from gexcore.errors import InvalidSettingError, MissingExtraError

ENOUGH = 8
"""Members that a mean needs. With fewer, θ* takes the place of each missing member."""
BATCHES = 8
TYPICAL_FROM = 3
"""Groups from which on the median error of all samples is the least of each."""


def member_groups(chains: NDArray[np.intp]) -> NDArray[np.intp]:
    """A group 0 … G − 1 for each member; groups count as independent of each other.

    Groups are the chains. A single chain is cut into `BATCHES` consecutive parts (batch means).
    This is an approximation, because neighbouring parts are still related.
    """
    _, groups = np.unique(chains, return_inverse=True)
    if len(chains) and groups.max() == 0:
        groups = np.arange(len(chains)) * min(BATCHES, len(chains)) // len(chains)
    return groups.astype(np.intp)


def mean_over_members(rows: Iterable[NDArray[np.float64]], samples: int) -> NDArray[np.float64]:
    """Mean of `rows`, read one at a time, shape (samples,); NaN entries count nothing."""
    total, seen = np.zeros(samples), np.zeros(samples)
    for row in rows:
        known = ~np.isnan(row)
        total += np.where(known, row, 0.0)
        seen += known
    return np.where(seen > 0, total / np.maximum(seen, 1), np.nan)


def jackknife(
    rows: Iterable[NDArray[np.float64]],
    groups: NDArray[np.intp],
    samples: int,
    *,
    of: Callable[[NDArray[np.float64]], NDArray[np.float64]] = np.asarray,
) -> NDArray[np.float64]:
    """Standard error of the mean of `rows` (jackknife): one group is left out at a time.

    Parameters
    ----------
    rows : iterable of arrays, shape (samples,)
        One row per member; NaN if missing.
    groups : integer array, shape (members,)
    of : callable
        The score as a function of means, of shape (groups, samples); the mean itself by default.

    Returns
    -------
    array, shape (samples,)
        Standard errors. NaN for a sample that fewer than two groups saw.
    """
    sums, seen = group_sums(rows, groups, samples)
    total, weight = sums.sum(axis=0), seen.sum(axis=0)
    informed = seen > 0
    usable = informed.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        without = (total - sums) / (weight - seen)
        without = of(np.where(informed, without, np.nan))
        centre = np.nansum(without, axis=0) / usable
        variance = (usable - 1) / usable * np.nansum((without - centre) ** 2, axis=0)
    return np.where(usable >= 2, np.sqrt(variance), np.nan)


def t_quantiles(level: float, freedom: NDArray[np.intp]) -> NDArray[np.float64]:
    """Standard errors from the middle of an interval to its ends, by Student's t.

    Parameters
    ----------
    level : float
        Probability that the interval holds the true mean, between 0 and 1.
    freedom : integer array, shape (samples,)
        Degrees of freedom: groups minus one. Below one the result is NaN.

    Raises
    ------
    InvalidSettingError
        If the level is not between 0 and 1.
    MissingExtraError
        If SciPy is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.deviations.uncertainty import t_quantiles
    >>> t_quantiles(0.95, np.array([1, 7])).round(2)
    array([12.71,  2.36])
    """
    if not 0 < level < 1:
        raise InvalidSettingError(f"level is {level}, and must be between 0 and 1, such as 0.95")
    try:
        from scipy.special import stdtrit
    except ImportError as error:
        msg = f"intervals need SciPy ({error}); try: pip install 'gexcore[report]'"
        raise MissingExtraError(msg) from error
    found = stdtrit(np.maximum(freedom, 1), (1 + level) / 2)
    return np.where(freedom >= 1, found, np.nan)


def log_of_positive(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm of means of squares, also of zeros."""
    return np.asarray(np.log(np.maximum(means, np.finfo(np.float64).tiny)))


def interval_of_positive(
    scores: NDArray[np.float64],
    errors: NDArray[np.float64],
    freedom: NDArray[np.intp],
    level: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends of intervals for means of squares, on their logarithm: such means have a long tail.

    Few groups often miss the tail. Mean and error are then both too small. So an error below the
    median of all samples is raised to it, from `TYPICAL_FROM` groups on.

    Parameters
    ----------
    scores : array, shape (samples,)
        The means.
    errors : array, shape (samples,)
        Standard errors of their logarithms (`log_of_positive`).
    freedom : integer array, shape (samples,)
        Degrees of freedom: groups minus one.
    level : float
        Probability that an interval holds the true mean.
    """
    known = (scores > 0) & np.isfinite(errors)
    if known.any():
        least = np.where(freedom + 1 >= TYPICAL_FROM, np.median(errors[known]), 0.0)
        errors = np.where(known, np.maximum(errors, least), errors)
    factor = np.exp(errors * t_quantiles(level, freedom))
    return scores / factor, scores * factor


def group_sums(
    rows: Iterable[NDArray[np.float64]], groups: NDArray[np.intp], samples: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum over the members of each group, and their number, both (groups, samples)."""
    count = int(groups.max()) + 1 if len(groups) else 0
    sums, seen = np.zeros((count, samples)), np.zeros((count, samples))
    for row, group in zip(rows, groups, strict=True):
        known = ~np.isnan(row)
        sums[group] += np.where(known, row, 0.0)
        seen[group] += known
    return sums, seen
