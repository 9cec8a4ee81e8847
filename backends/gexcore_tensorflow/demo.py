"""The model of the demo: a small network that memorises its labels, also wrong ones."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from gexcore.backend.batches import training_order
from gexcore.backend.optimizer import Optimizer
from gexcore_tensorflow.backend import TensorFlowBackend

WIDTHS = (128, 128)
BATCH_SIZE = 32
LR = 0.03
EPOCHS = 300
MEMORISED = 0.1


def train(x: NDArray[Any], y: NDArray[Any], *, classes: int, seed: int) -> keras.Model:
    """A multilayer perceptron that predicts every given label.

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
    keras.Model
        Model from inputs of shape (b, ...) to scores of shape (b, classes). SGD with momentum
        trains it until no loss of an epoch is above `MEMORISED`, or for `EPOCHS` epochs.
    """
    x = np.asarray(x, np.float32)
    starts = [keras.initializers.HeNormal(seed=seed + depth) for depth in range(len(WIDTHS) + 1)]
    hidden = [
        keras.layers.Dense(width, activation="relu", kernel_initializer=start)
        for width, start in zip(WIDTHS, starts, strict=False)
    ]
    model = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            keras.layers.Flatten(),
            *hidden,
            keras.layers.Dense(classes, kernel_initializer=starts[-1]),
        ]
    )
    backend = TensorFlowBackend(model, optimizer=Optimizer(momentum=0.9))
    state = backend.initial_state()
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
    for variable, value in zip(model.trainable_variables, state.params, strict=True):
        variable.assign(value)
    return model
