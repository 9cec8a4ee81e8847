"""Derivatives along directions of the parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gexcore.backend.refusals import check_vector
from gexcore_jax.data import full

LossesOf = Callable[[Any], jax.Array]
"""A function from parameters to the losses of a batch, (b,)."""


@jax.jit
def ravel(params: Any) -> jax.Array:
    """A copy of all parameters as a vector, shape (p,), in float32 at least."""
    return jnp.copy(full(ravel_pytree(params)[0]))


def split(flat: Any, params: Any) -> Any:
    """A vector, shape (p,), as arrays with the shapes, dtypes and devices of the parameters.

    Raises
    ------
    InvalidDataError
        If the shape differs.
    """
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    check_vector(np.shape(flat), size)
    vector = flat if isinstance(flat, jax.Array) else np.asarray(flat)
    pieces = _pieces(vector, params)
    return jax.tree.map(
        lambda a, p: jax.device_put(a, p.sharding) if p.committed else a, pieces, params
    )


def jvp(losses_of: LossesOf, params: Any, tangent: Any) -> jax.Array:
    """Derivative of each loss along the tangent, a tree like the parameters: shape (b,)."""
    derivatives: jax.Array = jax.jvp(losses_of, (params,), (tangent,))[1]
    return derivatives


def hvp(losses_of: LossesOf, params: Any, tangent: Any) -> jax.Array:
    """Hessian of the mean loss times the tangent, shape (p,), by forward mode over reverse mode."""
    gradient = jax.grad(lambda values: losses_of(values).mean())
    return full(ravel_pytree(jax.jvp(gradient, (params,), (tangent,))[1])[0])


@jax.jit
def _pieces(vector: jax.Array, params: Any) -> Any:
    leaves, tree = jax.tree.flatten(params)
    pieces = jnp.split(vector, np.cumsum([leaf.size for leaf in leaves])[:-1])
    # a copy, because JAX would share a NumPy vector that the caller may write to
    shaped = [
        jnp.copy(piece).reshape(leaf.shape).astype(leaf.dtype)
        for piece, leaf in zip(pieces, leaves, strict=True)
    ]
    return jax.tree.unflatten(tree, shaped)
