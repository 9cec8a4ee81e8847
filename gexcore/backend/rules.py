"""SGD and AdamW of PyTorch on NumPy arrays, for backends without optimisers."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.optimizer import Optimizer
from gexcore.errors import InvalidModelError

Reals = NDArray[np.floating[Any]]

BETAS = (0.9, 0.999)
EPS = 1e-8


class Memory(NamedTuple):
    """The memory of an optimiser: its steps, and vectors of shape (p,). Empty by default."""

    steps: int = 0
    vectors: tuple[Reals, ...] = ()


def check_optimizer(optimizer: Optimizer) -> Optimizer:
    """The optimiser, refused unless this module has it.

    Raises
    ------
    InvalidModelError
    """
    if optimizer.name not in ("sgd", "adamw"):
        told = repr(optimizer.name) if isinstance(optimizer.name, str) else "a callable"
        msg = f"the optimiser is {told}; NumPy knows 'sgd' and 'adamw'"
        raise InvalidModelError(msg)
    return optimizer


def advance(
    optimizer: Optimizer, params: Reals, gradient: Reals, memory: Memory, *, lr: float
) -> Memory:
    """Take one step on `params` in place. `gradient` and the vectors of `memory` are used up."""
    step = _adamw if optimizer.name == "adamw" else _sgd
    return Memory(memory.steps + 1, step(optimizer, params, gradient, memory, float(lr)))


def _sgd(
    optimizer: Optimizer, params: Reals, gradient: Reals, memory: Memory, lr: float
) -> tuple[Reals, ...]:
    if optimizer.weight_decay:
        gradient += optimizer.weight_decay * params
    if not optimizer.momentum:
        params -= lr * gradient
        return ()
    velocity = gradient
    if memory.vectors:
        (velocity,) = memory.vectors
        velocity *= optimizer.momentum
        velocity += gradient
    params -= lr * velocity
    return (velocity,)


def _adamw(
    optimizer: Optimizer, params: Reals, gradient: Reals, memory: Memory, lr: float
) -> tuple[Reals, ...]:
    first, second = memory.vectors or (np.zeros_like(params), np.zeros_like(params))
    step = memory.steps + 1
    beta1, beta2 = BETAS
    params *= 1 - lr * optimizer.weight_decay
    first *= beta1
    first += (1 - beta1) * gradient
    second *= beta2
    gradient *= gradient
    second += (1 - beta2) * gradient
    deviation = np.sqrt(second)
    deviation /= math.sqrt(1 - beta2**step)
    deviation += EPS
    params -= (lr / (1 - beta1**step)) * (first / deviation)
    return (first, second)
