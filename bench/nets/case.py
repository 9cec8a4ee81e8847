"""What every framework's file gives: a model behind its backend, and the same by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

BATCH_SIZE = 128
DENSE = (64, 128, 128, 10)
CLASSES = 10
IMAGE = 28
CHANNELS = (16, 32)
VOCABULARY, LENGTH, WIDTH, HEADS, HIDDEN, BLOCKS, DROPOUT = 100, 32, 64, 4, 128, 2, 0.1


class Case(NamedTuple):
    """One model.

    Parameters
    ----------
    name : str
    backend : Backend
        Made from the model, with SGD and momentum.
    data : (x, y)
        One batch, as the backend and the functions below get it.
    forward : callable
        By hand: the losses, in evaluation mode.
    step : callable
        By hand: one step of SGD with momentum, and its loss.
    """

    name: str
    backend: Any
    data: tuple[Any, Any]
    forward: Callable[[], Any]
    step: Callable[[], Any]


def vectors() -> NDArray[np.float32]:
    """Inputs of the dense net, (b, 64)."""
    return np.random.default_rng(0).normal(size=(BATCH_SIZE, DENSE[0])).astype(np.float32)


def images() -> NDArray[np.float32]:
    """Inputs of the convolutional net, (b, 28, 28, 1)."""
    return np.random.default_rng(1).normal(size=(BATCH_SIZE, IMAGE, IMAGE, 1)).astype(np.float32)


def tokens() -> NDArray[np.int64]:
    """Inputs of the encoder, (b, 32)."""
    return np.random.default_rng(2).integers(0, VOCABULARY, (BATCH_SIZE, LENGTH))


def labels() -> NDArray[np.int64]:
    """Classes, (b,)."""
    return np.arange(BATCH_SIZE) % CLASSES
