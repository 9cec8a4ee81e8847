"""SGD and AdamW as PyTorch defines them, and Keras' own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import keras
import tensorflow as tf

from gexcore.backend.optimizer import Optimizer
from gexcore.errors import InvalidModelError
from gexcore_tensorflow.network import Tensors, values_of

BETA1, BETA2 = 0.9, 0.999
EPS = 1e-8


class Memory(NamedTuple):
    """The memory of an optimiser: its steps, and its tensors."""

    steps: int
    slots: Tensors


class Rule(Protocol):
    """An optimiser as pure functions.

    Attributes
    ----------
    fresh : tuple of tensors
        Memory at the start.
    variables : sequence of tf.Variable
        Variables that steps write to, one step at a time. Our own rules have none.
    """

    fresh: Tensors
    variables: Sequence[Any]

    def rates(self, lr: float, steps: int) -> list[float]:
        """The numbers for step `steps`, from 1, computed on the host in double precision."""
        ...

    def step(
        self,
        params: Sequence[tf.Tensor],
        gradient: Sequence[tf.Tensor],
        slots: Sequence[tf.Tensor],
        rates: Any,
    ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Parameters and slots after a step; traced."""
        ...


def rule_of(settings: Optimizer, params: Tensors) -> Rule:
    """The optimiser of these settings, for these parameters.

    Parameters
    ----------
    settings : Optimizer
        A callable `name` is called as ``name()`` and returns a ``keras.optimizers.Optimizer``, like
        ``keras.optimizers.Adam``. It sets its own momentum and weight decay. The plan sets the
        learning rate.
    params : tuple of tensors

    Raises
    ------
    InvalidModelError
        If the name is unknown, a callable returns another object, or an optimiser has its own
        schedule.
    """
    if callable(settings.name):
        return Native(settings.name, params)
    if settings.name == "sgd":
        slots = tuple(tf.zeros_like(p) for p in params) if settings.momentum else ()
        return Sgd(slots, settings.momentum, settings.weight_decay)
    if settings.name == "adamw":
        return AdamW(tuple(tf.zeros_like(p) for p in (*params, *params)), settings.weight_decay)
    msg = (
        f"no optimizer named {settings.name!r}; allowed are 'sgd', 'adamw' "
        "and a function () -> keras.optimizers.Optimizer"
    )
    raise InvalidModelError(msg)


@dataclass
class Sgd:
    """Stochastic gradient descent; weight decay is added to the gradient."""

    fresh: Tensors
    momentum: float
    weight_decay: float
    variables: Sequence[Any] = ()

    def rates(self, lr: float, steps: int) -> list[float]:
        """The learning rate."""
        return [lr]

    def step(
        self,
        params: Sequence[tf.Tensor],
        gradient: Sequence[tf.Tensor],
        slots: Sequence[tf.Tensor],
        rates: Any,
    ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """The slots are the velocities."""
        if self.weight_decay:
            gradient = [g + self.weight_decay * p for g, p in zip(gradient, params, strict=True)]
        velocity = (
            [self.momentum * v + g for v, g in zip(slots, gradient, strict=True)] if slots else []
        )
        moves = zip(params, velocity or gradient, strict=True)
        return [p - tf.cast(rates[0], p.dtype) * v for p, v in moves], velocity


@dataclass
class AdamW:
    """Adam with decoupled weight decay."""

    fresh: Tensors
    weight_decay: float
    variables: Sequence[Any] = ()

    def rates(self, lr: float, steps: int) -> list[float]:
        """Factor of the parameters, factor of the step, and bias of the deviation."""
        return [1 - lr * self.weight_decay, lr / (1 - BETA1**steps), math.sqrt(1 - BETA2**steps)]

    def step(
        self,
        params: Sequence[tf.Tensor],
        gradient: Sequence[tf.Tensor],
        slots: Sequence[tf.Tensor],
        rates: Any,
    ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """The slots are the first moments, then the second moments."""
        n = len(params)
        first = [BETA1 * m + (1 - BETA1) * g for m, g in zip(slots[:n], gradient, strict=True)]
        second = [
            BETA2 * v + (1 - BETA2) * (g * g) for v, g in zip(slots[n:], gradient, strict=True)
        ]
        moved = []
        for p, m, v in zip(params, first, second, strict=True):
            keep, lr, bias = (tf.cast(rates[i], p.dtype) for i in range(3))
            moved.append(keep * p - lr * (m / (tf.sqrt(v) / bias + EPS)))
        return moved, first + second


class Native:
    """A Keras optimiser on its own variables, which are set before each step.

    Keras has no stateless optimisers on TensorFlow.
    """

    def __init__(self, make: Callable[..., Any], params: Tensors) -> None:
        made = make()
        if not isinstance(made, keras.optimizers.Optimizer):
            msg = (
                f"the optimizer function returned {type(made).__name__}; it must return a "
                "keras.optimizers.Optimizer"
            )
            raise InvalidModelError(msg)
        if isinstance(made, keras.optimizers.LossScaleOptimizer):
            made = made.inner_optimizer
        try:
            made.learning_rate = 0.0
        except TypeError as error:
            msg = (
                f"{type(made).__name__} has a learning rate schedule of its own, and the rate is "
                "the plan's; leave it out"
            )
            raise InvalidModelError(msg) from error
        self._variables = [keras.Variable(p, dtype=p.dtype.name) for p in params]
        made.build(self._variables)
        self._optimizer = made
        self.variables: Sequence[Any] = [v.value for v in (*self._variables, *made.variables)]
        self.fresh = values_of(made.variables)

    def rates(self, lr: float, steps: int) -> list[float]:
        """The learning rate."""
        return [lr]

    def step(
        self,
        params: Sequence[tf.Tensor],
        gradient: Sequence[tf.Tensor],
        slots: Sequence[tf.Tensor],
        rates: Any,
    ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """The slots are the optimiser's variables."""
        own = self._optimizer.variables
        for variable, value in zip([*self._variables, *own], [*params, *slots], strict=True):
            variable.assign(value)
        self._optimizer.learning_rate.assign(rates[0])
        self._optimizer.apply(list(gradient), self._variables)
        return list(values_of(self._variables)), list(values_of(own))
