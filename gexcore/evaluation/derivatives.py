"""Directional derivatives and Hessian products over a dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import require, supports
from gexcore.backend.data import to_numpy
from gexcore.backend.protocols import (
    Array,
    Backend,
    Dataset,
    Indices,
    SupportsHvp,
    SupportsJvp,
    SupportsSampleGradients,
)
from gexcore.evaluation.losses import checked, in_order
from gexcore.evaluation.passes import Passes

GRADIENT_BUDGET = 2**25
"""The most numbers in the gradients of one batch."""
FEWEST_DIRECTIONS = 16
"""Directions from which on gradients of samples are used.

A gradient costs as much as 2 (convolutions) to 24 (dense nets) derivatives.
"""


def directional(
    backend: Backend[Any, Any],
    states: Sequence[Any],
    tangents: NDArray[Any],
    data: Dataset[Any],
    *,
    batch_size: int,
    on_batch: Callable[[], object] = lambda: None,
) -> NDArray[np.float64]:
    """Derivatives of every sample's loss along each tangent at each state, in one pass.

    The cheapest capability of the backend is used. Gradients of samples serve many directions, if
    they fit into memory. `SupportsJvp` gives one derivative per direction. `SupportsParams` gives
    central differences of two forward passes, whose step is the cube root of the precision.

    Parameters
    ----------
    states : sequence of State
        States at which the derivatives are taken, in evaluation mode.
    tangents : array, shape (directions, p)
    on_batch : callable
        Called after each batch of samples at each state.

    Returns
    -------
    array, shape (states · directions, samples)
        Derivatives. All directions of the first state come first.
    """
    derive: Callable[..., Array] = partial(difference, backend)
    if supports(backend, SupportsJvp):
        derive = backend.jvp
    able = _by_gradients(backend, tangents.shape, batch_size)

    def at(state: Any, batch: Any, size: int) -> NDArray[np.float64]:
        if able is not None:
            gradients = to_numpy(able.sample_gradients(state, batch))
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


def directional_passes(
    backend: Backend[Any, Any], shape: tuple[int, ...], samples: int, *, batch_size: int
) -> Passes:
    """Passes of `directional` for tangents of this shape."""
    if _by_gradients(backend, shape, batch_size) is not None:
        return Passes(gradient=samples)
    count = shape[0] * samples
    return Passes(jvp=count) if supports(backend, SupportsJvp) else Passes(forward=2 * count)


def _by_gradients(
    backend: Backend[Any, Any], shape: tuple[int, ...], batch_size: int
) -> SupportsSampleGradients[Any, Any] | None:
    fits = shape[0] >= FEWEST_DIRECTIONS and shape[1] * batch_size <= GRADIENT_BUDGET
    return backend if fits and supports(backend, SupportsSampleGradients) else None


def difference(backend: Any, state: Any, tangent: NDArray[Any], batch: Any) -> NDArray[np.float64]:
    """The central difference of a batch's losses along `tangent`, shape (b,)."""
    centre = to_numpy(backend.ravel(state))
    length = float(np.linalg.norm(tangent))
    if not length:
        return np.zeros(len(to_numpy(backend.forward(state, batch))))
    step = (
        float(np.finfo(centre.dtype).eps ** (1 / 3))
        * max(1.0, float(np.linalg.norm(centre)))
        / length
    )
    ahead, behind = (
        to_numpy(
            backend.forward(backend.unravel(state, centre + sign * step * tangent), batch)
        ).astype(np.float64)
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
        Positions of the part, the same in every product, so that the matrix is symmetric and fixed.
    weight_decay : float
        Number added to the diagonal: the second derivative of ½ · weight_decay · ‖θ‖².

    Returns
    -------
    callable
        Function from a vector (p,) to a vector (p,).
    """
    parts = [
        positions[start : start + batch_size] for start in range(0, len(positions), batch_size)
    ]

    able = require(backend, SupportsHvp, by="a product with the Hessian")

    def product(vector: NDArray[Any]) -> NDArray[np.float64]:
        total = weight_decay * vector.astype(np.float64)
        for part in parts:
            moved = to_numpy(able.hvp(state, vector, data.batch(part)))
            total += len(part) / len(positions) * moved.astype(np.float64)
        return total

    return product
