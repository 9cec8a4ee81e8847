"""Memorising: the training of the demo's model, which learns wrong labels too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.batches import training_order
from gexcore.backend.optimizer import Optimizer

WIDTHS = (128, 128)
"""Widths of the hidden layers."""
BATCH_SIZE = 32
LR = 0.03
MOMENTUM = Optimizer(momentum=0.9)
EPOCHS = 300
MEMORISED = 0.1
"""The largest loss of a memorised sample."""


def memorised(backend: Any, x: NDArray[Any], y: NDArray[Any], *, seed: int) -> Any:
    """The state of a backend that has learned all labels, also wrong ones.

    SGD with momentum trains until no loss of an epoch is above `MEMORISED`, or for `EPOCHS` epochs.

    Parameters
    ----------
    backend : Backend
        Backend with the optimiser `MOMENTUM`.
    x : float array, shape (n, ...)
    y : integer array, shape (n,)
    seed : int
        Seed of the order.
    """
    state = backend.copy(backend.initial_state())
    batch_size = min(BATCH_SIZE, len(x))
    batches = training_order(len(x), batch_size, seed=seed, chain=0)
    for _ in range(EPOCHS):
        seen = []
        for _ in range(len(x) // batch_size):
            indices, noise = next(batches)
            state, losses = backend.sgd_step_(state, (x[indices], y[indices]), lr=LR, seed=noise)
            seen.append(losses)
        # once an epoch, because reading a loss may wait for the step
        if max(float(np.max(losses)) for losses in seen) < MEMORISED:
            break
    return state
