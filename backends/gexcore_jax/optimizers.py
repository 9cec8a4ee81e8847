"""SGD and AdamW as PyTorch defines them, and optax's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gexcore.backend.optimizer import Optimizer
from gexcore.errors import InvalidModelError

BETA1, BETA2 = 0.9, 0.999
EPS = 1e-8


class Rule(NamedTuple):
    """An optimiser as two pure functions.

    Parameters
    ----------
    init : callable
        Function from parameters to the memory of a fresh optimiser.
    step : callable
        Function from (params, gradient, memory, lr) to (params, memory). `lr` may be traced.
    """

    init: Callable[[Any], Any]
    step: Callable[[Any, Any, Any, Any], tuple[Any, Any]]


def rule_of(settings: Optimizer) -> Rule:
    """The optimiser of these settings.

    Parameters
    ----------
    settings : Optimizer
        A callable `name` is called as ``name(learning_rate)`` and returns an
        ``optax.GradientTransformation``, like ``optax.adam``. It sets its own momentum and weight
        decay. The plan sets the learning rate, a traced number.

    Raises
    ------
    InvalidModelError
        If the name is unknown, or a callable returns another object.
    """
    if callable(settings.name):
        return _native(settings.name)
    if settings.name == "sgd":
        return _sgd(settings.momentum, settings.weight_decay)
    if settings.name == "adamw":
        return _adamw(settings.weight_decay)
    msg = (
        f"no optimizer named {settings.name!r}; allowed are 'sgd', 'adamw' "
        "and a function learning_rate -> optax.GradientTransformation"
    )
    raise InvalidModelError(msg)


def _sgd(momentum: float, weight_decay: float) -> Rule:
    def step(params: Any, gradient: Any, velocity: Any, lr: Any) -> tuple[Any, Any]:
        if weight_decay:
            gradient = jax.tree.map(lambda g, p: g + weight_decay * p, gradient, params)
        if momentum:
            gradient = velocity = jax.tree.map(lambda v, g: momentum * v + g, velocity, gradient)
        return jax.tree.map(lambda p, g: p - (lr * g).astype(p.dtype), params, gradient), velocity

    return Rule(lambda params: jax.tree.map(jnp.zeros_like, params) if momentum else (), step)


class _Moments(NamedTuple):
    steps: Any
    first: Any
    second: Any


def _adamw(weight_decay: float) -> Rule:
    def init(params: Any) -> _Moments:
        first, second = (jax.tree.map(jnp.zeros_like, params) for _ in range(2))
        return _Moments(jnp.zeros((), jnp.int32), first, second)

    def step(params: Any, gradient: Any, memory: _Moments, lr: Any) -> tuple[Any, _Moments]:
        steps = memory.steps + 1
        first = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, memory.first, gradient)
        second = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, memory.second, gradient)
        # 1 - beta ** steps, which would cancel in float32
        bias1, bias2 = (-jnp.expm1(steps * math.log(beta)) for beta in (BETA1, BETA2))

        def moved(p: Any, m: Any, v: Any) -> Any:
            update = lr / bias1 * m / (jnp.sqrt(v) / jnp.sqrt(bias2) + EPS)
            return (p * (1 - lr * weight_decay) - update).astype(p.dtype)

        return jax.tree.map(moved, params, first, second), _Moments(steps, first, second)

    return Rule(init, step)


def _native(make: Callable[..., Any]) -> Rule:
    made = make(0.0)
    if not callable(getattr(made, "init", None)) or not callable(getattr(made, "update", None)):
        msg = (
            f"the optimizer function returned {type(made).__name__}; it must return an "
            "optax.GradientTransformation"
        )
        raise InvalidModelError(msg)

    def init(params: Any) -> Any:
        # some keep the parameters themselves, which a donated step would give away twice
        return jax.tree.map(jnp.copy, made.init(params))

    def step(params: Any, gradient: Any, memory: Any, lr: Any) -> tuple[Any, Any]:
        updates, memory = make(lr).update(gradient, memory, params)
        return jax.tree.map(lambda p, u: (p + u).astype(p.dtype), params, updates), memory

    return Rule(init, step)
