"""Standard errors of means over members that are not all independent."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

BATCHES = 8


def member_groups(chains: NDArray[np.intp]) -> NDArray[np.intp]:
    """A group 0 … G − 1 for each member; groups are treated as independent, members of one are not.

    Groups are the chains. Where there is only one, they are `BATCHES` consecutive parts of it
    (batch means): an approximation, since neighbouring parts are still related.
    """
    _, groups = np.unique(chains, return_inverse=True)
    if len(chains) and groups.max() == 0:
        groups = np.arange(len(chains)) * min(BATCHES, len(chains)) // len(chains)
    return groups.astype(np.intp)


def jackknife(rows: Iterable[NDArray[np.float64]], groups: NDArray[np.intp], samples: int) -> NDArray[np.float64]:
    """Standard error of the mean of `rows`, leaving out one group at a time.

    Parameters
    ----------
    rows : iterable of arrays, shape (samples,)
        One per member; NaN where missing.
    groups : integer array, shape (members,)

    Returns
    -------
    array, shape (samples,)
        NaN for a sample that fewer than two groups saw.
    """
    count = int(groups.max()) + 1 if len(groups) else 0
    sums, seen = np.zeros((count, samples)), np.zeros((count, samples))
    for row, group in zip(rows, groups, strict=True):
        known = ~np.isnan(row)
        sums[group] += np.where(known, row, 0.0)
        seen[group] += known
    total, weight = sums.sum(axis=0), seen.sum(axis=0)
    informed = seen > 0
    usable = informed.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        without = (total - sums) / (weight - seen)
        without = np.where(informed, without, np.nan)
        centre = np.nansum(without, axis=0) / usable
        variance = (usable - 1) / usable * np.nansum((without - centre) ** 2, axis=0)
    return np.where(usable >= 2, np.sqrt(variance), np.nan)
