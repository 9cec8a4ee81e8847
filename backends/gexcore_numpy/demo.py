"""The model of the demo: a small network that memorises its labels, also wrong ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.memorising import MOMENTUM, WIDTHS, memorised
from gexcore_numpy.backend import NumpyBackend
from gexcore_numpy.models import MLP


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
        Model in float32, trained by `memorised`.
    """
    x = np.asarray(x, np.float32).reshape(len(x), -1)
    sizes = (x.shape[1], *WIDTHS, classes)
    backend = NumpyBackend(MLP.init(sizes, seed=seed, dtype=np.float32), optimizer=MOMENTUM)
    state = memorised(backend, x, y, seed=seed)
    return backend.to_model(state)
