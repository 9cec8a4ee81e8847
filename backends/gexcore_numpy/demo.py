"""The model of the demo: a small network that memorises its labels, also wrong ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.batches import training_order
from gexcore.backend.optimizer import Optimizer
from gexcore_numpy.backend import NumpyBackend
from gexcore_numpy.models import MLP

WIDTHS = (128, 128)
BATCH_SIZE = 32
LR = 0.03
EPOCHS = 300
MEMORISED = 0.1


def train(x: NDArray[Any], y: NDArray[Any], *, classes: int, seed: int) -> MLP:
    """An MLP that has memorised all labels, also wrong ones.

    Parameters
    ----------
    x : float array, shape (n, ...)
        Inputs of about unit size.
    y : integer array, shape (n,)
    classes : int
    seed : int
        Equal seeds give equal models.

    Returns
    -------
    MLP
        Model in float32. SGD with momentum trains it until no loss of an epoch is above
        `MEMORISED`, or for `EPOCHS` epochs.
    """
    x = np.asarray(x, np.float32).reshape(len(x), -1)
    sizes = (x.shape[1], *WIDTHS, classes)
    backend = NumpyBackend(
        MLP.init(sizes, seed=seed, dtype=np.float32), optimizer=Optimizer(momentum=0.9)
    )
    state = backend.copy(backend.initial_state())
    batch_size = min(BATCH_SIZE, len(x))
    batches = training_order(len(x), batch_size, seed=seed, chain=0)
    for _ in range(EPOCHS):
        worst = 0.0
        for _ in range(len(x) // batch_size):
            indices, noise = next(batches)
            state, losses = backend.sgd_step_(state, (x[indices], y[indices]), lr=LR, seed=noise)
            worst = max(worst, float(losses.max()))
        if worst < MEMORISED:
            break
    return backend.to_model(state)
