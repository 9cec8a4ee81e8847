"""Losses of a state over a dataset, always in the data's order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.capabilities import supports
from gexcore.data import to_numpy
from gexcore.errors import InvalidModelError
from gexcore.protocols import Array, Backend, Dataset, Indices, SupportsBufferRefresh, SupportsEnsemble

REFRESH_BATCHES = 8
REFRESH_BATCH_SIZE = 128


def in_order(n: int, batch_size: int) -> Iterator[Indices]:
    """Positions 0 … n − 1 in batches; the last may be shorter."""
    for start in range(0, n, batch_size):
        yield np.arange(start, min(start + batch_size, n))


def checked(losses: Array, size: int) -> Array:
    """Losses as they came from a backend, refused unless there is one per sample."""
    shape = tuple(losses.shape) if hasattr(losses, "shape") else np.shape(losses)
    if shape != (size,):
        msg = (
            f"the loss of a batch of {size} samples has shape {shape}; one number per sample, shape ({size},), "
            "is needed: leave the reduction out of the loss (reduction='none')"
        )
        raise InvalidModelError(msg)
    return losses


def gather(parts: list[Array]) -> NDArray[Any]:
    """Batches of losses, left on their device until now, as one NumPy array."""
    return np.concatenate([to_numpy(part) for part in parts])


def evaluate(backend: Backend[Any, Any], state: Any, data: Dataset[Any], *, batch_size: int) -> NDArray[Any]:
    """Per-sample losses of `state` in evaluation mode, shape (samples,), in the backend's precision."""
    parts = [
        checked(backend.forward(state, data.batch(indices)), len(indices))
        for indices in in_order(len(data), batch_size)
    ]
    return gather(parts)


def evaluate_many(
    backend: Backend[Any, Any], states: Sequence[Any], data: Dataset[Any], *, batch_size: int
) -> NDArray[Any]:
    """As `evaluate` for several states in one pass over the data, shape (states, samples)."""
    if supports(backend, SupportsEnsemble):
        stacked = backend.stack(states)  # type: ignore[attr-defined]
        score = partial(backend.forward_many, stacked)  # type: ignore[attr-defined]
        return np.concatenate(
            [to_numpy(score(data.batch(indices))) for indices in in_order(len(data), batch_size)], axis=1
        )
    rows: list[list[Array]] = [[] for _ in states]
    for indices in in_order(len(data), batch_size):
        batch = data.batch(indices)
        for row, state in zip(rows, states, strict=True):
            row.append(checked(backend.forward(state, batch), len(indices)))
    return np.stack([gather(row) for row in rows])


class Refresher:
    """Estimates a state's stored statistics anew from a fixed random part of the training data.

    Members and θ* are treated alike, so that the noise of the estimate is common to both.
    A model without such statistics passes through unchanged and costs nothing.
    """

    def __init__(self, backend: Backend[Any, Any], data: Dataset[Any], *, seed: int) -> None:
        self._backend = backend
        self._data = data
        self.active = supports(backend, SupportsBufferRefresh)
        order = np.random.default_rng([seed, 0xB4]).permutation(len(data))
        size = max(1, min(REFRESH_BATCH_SIZE, len(data)))
        self._batches = [order[i : i + size] for i in range(0, len(order) - size + 1, size)][:REFRESH_BATCHES]
        self.samples = sum(map(len, self._batches)) if self.active else 0

    def __call__(self, state: Any) -> Any:
        if not self.active:
            return state
        batches = [self._data.batch(indices) for indices in self._batches]
        return self._backend.refresh_buffers(state, batches)  # type: ignore[attr-defined]
