"""Losses of the parts of samples, as means over states."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import require
from gexcore.backend.data import to_numpy
from gexcore.backend.protocols import Backend, Dataset, Indices, SupportsPartLosses
from gexcore.errors import InvalidDataError
from gexcore.evaluation.losses import in_order

LARGEST = 2**27
"""The most numbers (samples × parts) that are held: 1 GiB."""

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def means_over_states(
    backend: Backend[Any, Any],
    groups: Iterable[Sequence[Any]],
    keys: Indices,
    data: Dataset[Any],
    positions: Indices,
    *,
    batch_size: int,
    of: Function,
) -> NDArray[np.float64]:
    """Means over states of a function of each part's loss, shape (keys, positions, …).

    Samples of fewer parts than the longest one end in NaN. The states of a group share a pass over
    the data. Sums alone are held.

    Parameters
    ----------
    backend : Backend
    groups : iterable of sequences of State
    keys : integer array, shape (states,)
        The mean, 0 … K − 1, that each state counts for.
    data : Dataset
    positions : integer array
        Positions of the samples.
    batch_size : int
    of : callable

    Raises
    ------
    InvalidDataError
        If a sample has one part only, or all parts are too many to be held.
    MissingCapabilityError
        If the backend has no losses of parts.
    """
    able = require(backend, SupportsPartLosses, by="part_suspicion")
    counts = np.bincount(keys)
    sums: list[list[NDArray[np.float64]]] = [[] for _ in counts]
    following = iter(keys.tolist())
    for states in groups:
        own = list(islice(following, len(states)))
        for number, indices in enumerate(in_order(len(positions), batch_size)):
            batch = data.batch(positions[indices])
            for key, state in zip(own, states, strict=True):
                found = of(to_numpy(able.part_losses(state, batch)).astype(np.float64))
                if number < len(sums[key]):
                    sums[key][number] = sums[key][number] + found
                else:
                    _check(found, len(positions))
                    sums[key].append(found)
    return np.stack([joined(each) / count for each, count in zip(sums, counts, strict=True)])


def joined(blocks: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Blocks of samples with more or fewer parts, as one array that is filled up with NaN."""
    longest = np.max([block.shape[1:] for block in blocks], axis=0)
    filled = [
        np.pad(
            block,
            [(0, 0), *((0, int(n - m)) for n, m in zip(longest, block.shape[1:], strict=True))],
            constant_values=np.nan,
        )
        for block in blocks
    ]
    return np.concatenate(filled)


def _check(found: NDArray[np.float64], samples: int) -> None:
    parts = found[:1].size
    if parts < 2:
        raise InvalidDataError("a sample of this loss has one part only; use suspicion()")
    if samples * parts > LARGEST:
        raise InvalidDataError(
            f"{samples} samples of {parts} parts are more than {LARGEST} numbers; give fewer "
            "positions, such as those of ranking(100)"
        )
