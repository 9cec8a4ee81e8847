"""Losses and directional derivatives over a dataset, always in the data's order; products with its Hessian."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.capabilities import supports
from gexcore.data import to_numpy
from gexcore.errors import InvalidModelError
from gexcore.passes import Passes
from gexcore.protocols import (
    Array,
    Backend,
    Dataset,
    Indices,
    SupportsBufferRefresh,
    SupportsEnsemble,
    SupportsJvp,
    SupportsSampleGradients,
)

REFRESH_BATCHES = 8
REFRESH_BATCH_SIZE = 128
GRADIENT_BUDGET = 2**25
"""Numbers in the gradients of one batch of samples, at most."""
FEWEST_DIRECTIONS = 16
"""That gradients of the samples are made for: they cost as much as 2 (convolutions) to 24 (dense nets) derivatives."""
STATE_BUDGET = 2**28
"""Numbers in the parameters of states made to share one pass over the data, at most: 1 GB in single precision."""


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
    """Batches of results, left on their device until now, as one NumPy array."""
    return np.concatenate([to_numpy(part) for part in parts])


def evaluate(
    backend: Backend[Any, Any], state: Any, data: Dataset[Any], *, batch_size: int, positions: Indices | None = None
) -> NDArray[Any]:
    """Per-sample losses of `state` in evaluation mode, shape (samples,), in the backend's precision.

    Of the samples at `positions` only, in that order, where these are given.
    """
    size = len(data) if positions is None else len(positions)
    batches = in_order(size, batch_size) if positions is None else (positions[i] for i in in_order(size, batch_size))
    parts = [checked(backend.forward(state, data.batch(indices)), len(indices)) for indices in batches]
    return gather(parts)


def outputs(method: Callable[[Any, Any], Array], state: Any, data: Dataset[Any], *, batch_size: int) -> NDArray[Any]:
    """What a forward method of a backend, such as ``logits``, gives for every sample, shape (samples, …)."""
    return gather([method(state, data.batch(indices)) for indices in in_order(len(data), batch_size)])


def evaluate_many(
    backend: Backend[Any, Any], states: Sequence[Any], data: Dataset[Any], *, batch_size: int
) -> NDArray[Any]:
    """As `evaluate` for several states in one pass over the data, shape (states, samples)."""
    if supports(backend, SupportsEnsemble):
        stacked = backend.stack(states)  # type: ignore[attr-defined]
        score = partial(backend.forward_many, stacked)  # type: ignore[attr-defined]
        parts = [score(data.batch(indices)) for indices in in_order(len(data), batch_size)]
        return np.concatenate([to_numpy(part) for part in parts], axis=1)
    rows: list[list[Array]] = [[] for _ in states]
    for indices in in_order(len(data), batch_size):
        batch = data.batch(indices)
        for row, state in zip(rows, states, strict=True):
            row.append(checked(backend.forward(state, batch), len(indices)))
    return np.stack([gather(row) for row in rows])


def directional(
    backend: Backend[Any, Any],
    states: Sequence[Any],
    tangents: NDArray[Any],
    data: Dataset[Any],
    *,
    batch_size: int,
    on_batch: Callable[[], object] = lambda: None,
) -> NDArray[np.float64]:
    """Derivatives of every sample's loss along each of `tangents` at each of `states`, in one pass over the data.

    By the cheapest of what the backend has: gradients of the samples, where they fit into memory
    and serve many directions; one derivative for each direction (`SupportsJvp`); or central
    differences of two forward passes (`SupportsParams`), whose step is the cube root of the precision.

    Parameters
    ----------
    states : sequence of State
        Where the derivatives are taken, in evaluation mode.
    tangents : array, shape (directions, p)
    on_batch : callable
        Called after each batch of samples at each state.

    Returns
    -------
    array, shape (states · directions, samples)
        All directions of the first state come first.
    """
    derive: Callable[..., Array] = partial(difference, backend)
    if supports(backend, SupportsJvp):
        derive = backend.jvp  # type: ignore[attr-defined]
    by_gradients = _by_gradients(backend, tangents.shape, batch_size)

    def at(state: Any, batch: Any, size: int) -> NDArray[np.float64]:
        if by_gradients:
            gradients = to_numpy(backend.sample_gradients(state, batch))  # type: ignore[attr-defined]
            return np.asarray(tangents.astype(gradients.dtype) @ gradients.T)
        rows = [checked(derive(state, tangent, batch), size) for tangent in tangents]
        host = [to_numpy(row).astype(np.float64) for row in rows]
        return np.stack(host) if host else np.empty((0, size))

    found = np.empty((len(states) * len(tangents), len(data)))
    for indices in in_order(len(data), batch_size):
        batch = data.batch(indices)
        for number, state in enumerate(states):
            rows = slice(number * len(tangents), (number + 1) * len(tangents))
            found[rows, indices[0] : indices[-1] + 1] = at(state, batch, len(indices))
            on_batch()
    return found


def directional_passes(backend: Backend[Any, Any], shape: tuple[int, ...], samples: int, *, batch_size: int) -> Passes:
    """What `directional` costs for tangents of this shape."""
    if _by_gradients(backend, shape, batch_size):
        return Passes(gradient=samples)
    count = shape[0] * samples
    return Passes(jvp=count) if supports(backend, SupportsJvp) else Passes(forward=2 * count)


def _by_gradients(backend: Backend[Any, Any], shape: tuple[int, ...], batch_size: int) -> bool:
    fits = shape[0] >= FEWEST_DIRECTIONS and shape[1] * batch_size <= GRADIENT_BUDGET
    return fits and supports(backend, SupportsSampleGradients)


def difference(backend: Any, state: Any, tangent: NDArray[Any], batch: Any) -> NDArray[np.float64]:
    """The central difference of a batch's losses along `tangent`, shape (b,)."""
    centre = to_numpy(backend.ravel(state))
    length = float(np.linalg.norm(tangent))
    if not length:
        return np.zeros(len(to_numpy(backend.forward(state, batch))))
    step = float(np.finfo(centre.dtype).eps ** (1 / 3)) * max(1.0, float(np.linalg.norm(centre))) / length
    ahead, behind = (
        to_numpy(backend.forward(backend.unravel(state, centre + sign * step * tangent), batch)).astype(np.float64)
        for sign in (1, -1)
    )
    return np.asarray((ahead - behind) / (2 * step))


def hessian_product(
    backend: Backend[Any, Any],
    state: Any,
    data: Dataset[Any],
    positions: Indices,
    *,
    batch_size: int,
    weight_decay: float = 0.0,
) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    """The product with the Hessian of the mean loss over a fixed part of the data.

    Parameters
    ----------
    positions : integer array
        The part: the same in every product, so that all are with one symmetric matrix.
    weight_decay : float
        Added to the diagonal: the second derivative of ½ · weight_decay · ‖θ‖².

    Returns
    -------
    callable
        From a vector (p,) to a vector (p,).
    """
    parts = [positions[start : start + batch_size] for start in range(0, len(positions), batch_size)]

    def product(vector: NDArray[Any]) -> NDArray[np.float64]:
        total = weight_decay * vector.astype(np.float64)
        for part in parts:
            moved = to_numpy(backend.hvp(state, vector, data.batch(part)))  # type: ignore[attr-defined]
            total += len(part) / len(positions) * moved.astype(np.float64)
        return total

    return product


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
        return self.many([state])[0]

    def many(self, states: Sequence[Any]) -> list[Any]:
        """Each of the states with its statistics refreshed; the batches are made once for all of them."""
        if not self.active:
            return list(states)
        batches = [self._data.batch(indices) for indices in self._batches]
        return [self._backend.refresh_buffers(state, batches) for state in states]  # type: ignore[attr-defined]
