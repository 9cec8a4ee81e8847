"""Trains the demo's model until it has memorised its labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier

WIDTHS = (128, 128)
BATCH_SIZE = 32
LR = 0.05
EPOCHS = 300
MEMORISED = 0.005


def train(x: NDArray[Any], y: NDArray[Any], *, classes: int, seed: int) -> MLPClassifier:
    """A network that has memorised the labels, wrong ones included.

    Parameters
    ----------
    x : float array, shape (n, ...)
        Of numbers around one in size.
    y : integer array, shape (n,)
    classes : int
    seed : int
        Equal seeds give equal models.

    Returns
    -------
    MLPClassifier
        In float32, takes x of shape (n, d); trained by SGD with momentum until the mean loss of an
        epoch is below `MEMORISED`, or for `EPOCHS` epochs.
    """
    x = np.asarray(x, np.float32).reshape(len(x), -1)
    model = MLPClassifier(
        WIDTHS,
        solver="sgd",
        alpha=0.0,
        batch_size=min(BATCH_SIZE, len(x)),
        learning_rate_init=LR,
        random_state=np.random.RandomState(seed),
    )
    for _ in range(EPOCHS):
        model.partial_fit(x, y, classes=np.arange(classes))
        if model.loss_ < MEMORISED:
            break
    return model
