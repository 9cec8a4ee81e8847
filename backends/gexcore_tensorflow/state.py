"""States: plain tensors."""

from __future__ import annotations

from typing import NamedTuple

from gexcore_tensorflow.network import Tensors
from gexcore_tensorflow.optimizers import Memory


class TensorFlowState(NamedTuple):
    """A point of training. Tensors never change, so states may share them.

    Parameters
    ----------
    params : tuple of tensors
        Parameters in the order of the model's trainable variables.
    buffers : tuple of tensors
        All other values of the model, with frozen weights. Unchanged ones are shared with θ*.
    memory : Memory
        Memory of the optimiser.
    """

    params: Tensors
    buffers: Tensors
    memory: Memory
