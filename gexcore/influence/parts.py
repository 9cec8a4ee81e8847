"""Suspicion of the parts of samples: of labels, tokens, pixels or outputs."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.protocols import Dataset, Indices
from gexcore.decisions.clean import positions
from gexcore.ensembles.members import Members
from gexcore.errors import InvalidDataError
from gexcore.influence.transition import SHARE, TINY


def checked_positions(given: Any, samples: int) -> Indices:
    """Positions of the samples that are asked for; None means all.

    Raises
    ------
    InvalidDataError
        If there is none, or one is outside of the data.
    """
    found = np.arange(samples) if given is None else positions(given, samples)
    if not len(found):
        raise InvalidDataError("no positions are given; give at least one")
    return found


def part_suspicion(
    members: Members,
    data: Dataset[Any],
    chosen: Indices,
    *,
    share: float,
    clip: float | None,
) -> NDArray[np.float64]:
    """How probably the label of each part is wrong, shape (chosen, …); see `RankedInfluence`.

    Parameters
    ----------
    members : Members
    data : Dataset
    chosen : integer array
        Positions of samples.
    share : float
        Share of the mean that θ* takes, in the places of members that are missing.
    clip : float, optional
        Clip of losses of which exp(−loss) is no probability.
    """
    if clip is not None:
        limit = clip if len(members.rows) else math.inf
        mean, base = members.parts(data, chosen, partial(np.minimum, limit))
        return (1 - share) * mean + share * base
    mean, base = members.parts(data, chosen, probability)
    p = (1 - SHARE) * ((1 - share) * mean + share * base) + SHARE * base
    return np.asarray(-np.log(np.maximum(p, TINY)))


def probability(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """exp(−loss)."""
    return np.exp(-losses)
