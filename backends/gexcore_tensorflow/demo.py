"""The model of the demo: a small network that memorises its labels, also wrong ones."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from gexcore.backend.memorising import MOMENTUM, WIDTHS, memorised
from gexcore_tensorflow.backend import TensorFlowBackend


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
        Model from inputs of shape (b, ...) to scores of shape (b, classes),
        trained by `memorised`.
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
    backend = TensorFlowBackend(model, optimizer=MOMENTUM)
    state = memorised(backend, x, y, seed=seed)
    for variable, value in zip(model.trainable_variables, state.params, strict=True):
        variable.assign(value)
    return model
