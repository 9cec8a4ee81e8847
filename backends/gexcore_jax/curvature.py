"""Derivatives along directions of the parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax.flatten_util import ravel_pytree

from gexcore_jax.data import full

LossesOf = Callable[[Any], jax.Array]
"""A function from parameters to the losses of a batch, (b,)."""


def jvp(losses_of: LossesOf, params: Any, tangent: Any) -> jax.Array:
    """Derivative of each loss along the tangent, a tree like the parameters: shape (b,)."""
    derivatives: jax.Array = jax.jvp(losses_of, (params,), (tangent,))[1]
    return derivatives


def hvp(losses_of: LossesOf, params: Any, tangent: Any) -> jax.Array:
    """Hessian of the mean loss times the tangent, shape (p,), by forward mode over reverse mode."""
    gradient = jax.grad(lambda values: losses_of(values).mean())
    return full(ravel_pytree(jax.jvp(gradient, (params,), (tangent,))[1])[0])
