"""States: plain tensors."""

from __future__ import annotations

from typing import NamedTuple

from gexcore_tensorflow.network import Tensors
from gexcore_tensorflow.optimizers import Memory


class TensorFlowState(NamedTuple):
    """A point of training; tensors never change, so states may share them.

    Parameters
    ----------
    params : tuple of tensors
        In the order of the model's trainable variables.
    buffers : tuple of tensors
        All else that the model holds, frozen weights included; θ*'s own where nothing changed.
    memory : Memory
        What the optimiser remembers.
    """

    params: Tensors
    buffers: Tensors
    memory: Memory
