"""Unimodality of scores: Hartigan's dip, with a p-value by simulation (Prop. 3.1)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from gexcore.backend.protocols import Floats
from gexcore.decisions.mixture import fit_mixture
from gexcore.settings import check_count
from gexcore.theory.normality import finite_row

LARGEST_SIMULATED = 1000
"""The most samples of the simulation. Larger samples are compared by √n · dip."""


class Unimodality(NamedTuple):
    """Measures of more than one mode.

    Parameters
    ----------
    dip : float
        Greatest distance between the empirical distribution function and the nearest one with a
        single mode, from 1/(2n) to 1/4.
    p_value : float
        Share of uniform samples with at least this dip. A small share speaks against a single mode.
        The test is conservative, because the uniform distribution has the largest dips of one mode.
    ashman_d : float
        Distance of the means of a fitted mixture of two normal distributions, in units of their
        mean deviation. Above 2 their modes are apart. Skewed distributions of one mode also have a
        large distance. NaN if no mixture could be fitted.
    """

    dip: float
    p_value: float
    ashman_d: float


def unimodality(values: Any, *, draws: int = 500, seed: int = 0) -> Unimodality:
    """Hartigan's dip of a distribution, its p-value, and Ashman's D.

    Parameters
    ----------
    values : array, shape (n,)
        Finite numbers. A transformation that keeps the order can change the number of modes. So
        test scores on the scale on which they are used.
    draws : int
        Number of uniform samples of the same size (at most 1,000; larger ones by √n · dip).
    seed : int
        Seed of the simulation.

    Raises
    ------
    InvalidDataError
        If values are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.theory import unimodality
    >>> rng = np.random.default_rng(0)
    >>> unimodality(rng.chisquare(1, 300)).p_value > 0.5
    True
    >>> unimodality(np.concatenate([rng.normal(0, 1, 200), rng.normal(6, 1, 100)])).p_value < 0.01
    True
    """
    check_count("draws", draws, auto=False)
    x = finite_row(values)
    found = dip(x)
    rng, n = np.random.default_rng([seed, 0xD1]), min(len(x), LARGEST_SIMULATED)
    null = np.array([dip(rng.random(n)) for _ in range(draws)])
    at_least = int((null * np.sqrt(n) >= found * np.sqrt(len(x)) * (1 - 1e-12)).sum())
    mixture = fit_mixture(x)
    return Unimodality(
        found, (1 + at_least) / (1 + draws), np.nan if mixture is None else mixture.ashman_d
    )


def dip(values: Any) -> float:
    """Hartigan's dip statistic, by algorithm AS 217 of Hartigan (1985), corrected.

    Parameters
    ----------
    values : array, shape (n,)
        Finite.

    Returns
    -------
    float
        Dip from 1/(2n) to 1/4. 0 if all values are equal.

    Raises
    ------
    InvalidDataError
        If values are not finite.

    Examples
    --------
    >>> from gexcore.theory import dip
    >>> dip([1.0, 2.0, 3.0, 4.0, 5.0])
    0.1
    >>> dip([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    0.25
    """
    x = np.sort(finite_row(values))
    n = len(x)
    if x[0] == x[-1]:
        return 0.0
    at = x.tolist()
    below = _hull(at)
    above = [n - 1 - i for i in reversed(_hull([-v for v in reversed(at)]))]
    low, high, largest = 0, n - 1, 1.0
    while True:
        convex, concave = _walk(below, high, low), _walk(above, low, high)
        gap, ig, ih = _widest(at, convex, concave)
        if gap < largest:
            break
        largest = max(largest, _misfit(x, convex[ig:][::-1], 1), _misfit(x, concave[ih:], -1))
        if (low, high) == (convex[ig], concave[ih]):
            break
        low, high = convex[ig], concave[ih]
    return largest / (2 * n)


def _hull(x: list[float]) -> list[int]:
    """The previous point of each point on the greatest convex minorant up to it."""
    before = [0] * len(x)
    for j in range(1, len(x)):
        k = j - 1
        while k and (x[j] - x[k]) * (k - before[k]) >= (x[k] - x[before[k]]) * (j - k):
            k = before[k]
        before[j] = k
    return before


def _walk(links: list[int], start: int, end: int) -> list[int]:
    found = [start]
    while found[-1] != end:
        found.append(links[found[-1]])
    return found


def _widest(x: list[float], convex: list[int], concave: list[int]) -> tuple[float, int, int]:
    """The largest distance between minorant and majorant in steps of 1/n, with its corners."""
    if len(convex) == len(concave) == 2:
        return 1.0, 1, 1
    gap, ig, ih = 0.0, len(convex) - 1, len(concave) - 1
    ix, iv = len(convex) - 2, 1
    while True:
        down, up = convex[ix], concave[iv]
        if down > up:
            last = convex[ix + 1]
            distance = up - last + 1 - (x[up] - x[last]) * (down - last) / (x[down] - x[last])
            iv += 1
            if distance >= gap:
                gap, ig, ih = distance, ix + 1, iv - 1
        else:
            last = concave[iv - 1]
            distance = (x[down] - x[last]) * (up - last) / (x[up] - x[last]) - (down - last - 1)
            ix -= 1
            if distance >= gap:
                gap, ig, ih = distance, ix + 1, iv
        ix, iv = max(ix, 0), min(iv, len(concave) - 1)
        if convex[ix] == concave[iv]:
            return gap, ig, ih


def _misfit(x: Floats, corners: list[int], sign: int) -> float:
    """Distance of the distribution function from lines between corners, in steps of 1/n."""
    largest = 1.0
    for start, end in pairwise(corners):
        if end - start > 1 and x[end] != x[start]:
            steps = np.arange(end - start + 1) + sign
            line = (x[start : end + 1] - x[start]) * ((end - start) / (x[end] - x[start]))
            largest = max(largest, float((sign * (steps - line)).max()))
    return largest
