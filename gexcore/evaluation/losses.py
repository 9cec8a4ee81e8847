"""Losses of states over a dataset, in the data's order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import supports
from gexcore.backend.data import to_numpy
from gexcore.backend.protocols import (
    Array,
    Backend,
    Dataset,
    Indices,
    SupportsEnsemble,
)
from gexcore.errors import InvalidModelError

STATE_BUDGET = 2**28
"""The most numbers in states that share one pass over the data: 1 GB in single precision."""


def in_order(n: int, batch_size: int) -> Iterator[Indices]:
    """Positions 0 … n − 1 in batches. The last batch may be shorter."""
    for start in range(0, n, batch_size):
        yield np.arange(start, min(start + batch_size, n))


def checked(losses: Array, size: int) -> Array:
    """The losses of a backend, refused unless there is one per sample."""
    shape = tuple(losses.shape) if hasattr(losses, "shape") else np.shape(losses)
    if shape != (size,):
        msg = (
            f"the loss of a batch of {size} samples has shape {shape}; one number per sample, "
            f"shape ({size},), is needed: leave the reduction out of the loss (reduction='none')"
        )
        raise InvalidModelError(msg)
    return losses


def gather(parts: list[Array]) -> NDArray[Any]:
    """Batches of results on any device, as one NumPy array."""
    return np.concatenate([to_numpy(part) for part in parts])


def evaluate(
    backend: Backend[Any, Any],
    state: Any,
    data: Dataset[Any],
    *,
    batch_size: int,
    positions: Indices | None = None,
) -> NDArray[Any]:
    """Losses of samples in evaluation mode, shape (samples,), in the backend's precision.

    With `positions`, only these samples are evaluated, in that order.
    """
    size = len(data) if positions is None else len(positions)
    batches = (
        in_order(size, batch_size)
        if positions is None
        else (positions[i] for i in in_order(size, batch_size))
    )
    parts = [
        checked(backend.forward(state, data.batch(indices)), len(indices)) for indices in batches
    ]
    return gather(parts)


def outputs(
    method: Callable[[Any, Any], Array], state: Any, data: Dataset[Any], *, batch_size: int
) -> NDArray[Any]:
    """Results of a forward method such as ``logits`` for every sample, shape (samples, …)."""
    return gather(
        [method(state, data.batch(indices)) for indices in in_order(len(data), batch_size)]
    )


def evaluate_many(
    backend: Backend[Any, Any], states: Sequence[Any], data: Dataset[Any], *, batch_size: int
) -> NDArray[Any]:
    """Losses of several states in one pass over the data, shape (states, samples)."""
    if supports(backend, SupportsEnsemble):
        stacked = backend.stack(states)
        score = partial(backend.forward_many, stacked)
        parts = [score(data.batch(indices)) for indices in in_order(len(data), batch_size)]
        return np.concatenate([to_numpy(part) for part in parts], axis=1)
    rows: list[list[Array]] = [[] for _ in states]
    for indices in in_order(len(data), batch_size):
        batch = data.batch(indices)
        for row, state in zip(rows, states, strict=True):
            row.append(checked(backend.forward(state, batch), len(indices)))
    return np.stack([gather(row) for row in rows])
