"""The model of the demo: a small network that memorises its labels, also wrong ones."""

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
    """A network that has memorised all labels, also wrong ones.

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
    MLPClassifier
        Model in float32 for x of shape (n, d). SGD with momentum trains it until the mean loss of
        an epoch is below `MEMORISED`, or for `EPOCHS` epochs.
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
