"""Running statistics that must follow the parameters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def tracking(module: nn.Module) -> list[_BatchNorm]:
    """All BatchNorm layers that keep running statistics."""
    return [m for m in module.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]


@contextmanager
def estimating_anew(module: nn.Module) -> Iterator[None]:
    """A block in which only these layers train, from scratch, with equal weights of batches."""
    layers = tracking(module)
    before = [(layer.momentum, layer.training) for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # None means a cumulative average in PyTorch
        layer.training = True
    try:
        yield
    finally:
        for layer, (momentum, training) in zip(layers, before, strict=True):
            layer.momentum, layer.training = momentum, training
