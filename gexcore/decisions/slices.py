"""Slices: suspects and scores by annotator, source or class."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gexcore.errors import InvalidDataError


class Slice(NamedTuple):
    """The samples of one group.

    Parameters
    ----------
    group : object
    samples : int
    mean : float
        Mean of their scores.
    flagged : int
    share : float
        Share of its samples that are flagged.
    low, high : float
        95 % interval of that share (Wilson). It is wide for small groups.
    """

    group: Any
    samples: int
    mean: float
    flagged: int
    share: float
    low: float
    high: float


def slices(scores: Any, groups: Any, flagged: Any = ()) -> list[Slice]:
    """One summary per group, by largest flagged share, then by highest mean score.

    Parameters
    ----------
    scores : array, shape (samples,)
        Scores without NaN, such as `LossInfluence.suspicion`.
    groups : array, shape (samples,)
        The annotator, source, … of each sample.
    flagged : integer array
        Positions of suspects, such as ``influence.suspects().indices``.

    Raises
    ------
    InvalidDataError
        If groups and scores differ in number, scores are NaN, or positions are invalid.

    Examples
    --------
    >>> from gexcore.decisions.slices import slices
    >>> ann, bob = slices([0.1, 2.0, 0.2, 0.4], ["ann", "bob", "ann", "bob"], [1])[::-1]
    >>> bob.group, bob.samples, bob.flagged, bob.share, round(bob.low, 2), round(bob.high, 2)
    ('bob', 2, 1, 0.5, 0.09, 0.91)
    """
    from gexcore.decisions.clean import positions

    scores, groups = np.asarray(scores, dtype=np.float64), np.asarray(groups)
    if scores.ndim != 1 or groups.shape != scores.shape or np.isnan(scores).any():
        told = f"scores have shape {scores.shape} and groups {groups.shape}"
        if groups.shape == scores.shape:
            told = f"{int(np.isnan(scores).sum())} scores are NaN"
        raise InvalidDataError(f"{told}; give one group and one number per sample")
    names, codes = np.unique(groups, return_inverse=True)
    sizes = np.bincount(codes, minlength=len(names))
    means = np.bincount(codes, weights=scores, minlength=len(names)) / sizes
    counts = np.bincount(codes[positions(flagged, len(scores))], minlength=len(names))
    rows = zip(names.tolist(), sizes.tolist(), means.tolist(), counts.tolist(), strict=True)
    found = [
        Slice(name, n, mean, count, count / n, *_wilson(count, n)) for name, n, mean, count in rows
    ]
    return sorted(found, key=lambda part: (-part.share, -part.mean))


def _wilson(count: int, n: int, z: float = 1.96) -> tuple[float, float]:
    centre, width = count + z**2 / 2, z * (count * (n - count) / n + z**2 / 4) ** 0.5
    return max(0.0, (centre - width) / (n + z**2)), min(1.0, (centre + width) / (n + z**2))
