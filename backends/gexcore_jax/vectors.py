"""Trainable parameters as one vector, in the order of ``jax.tree.leaves``."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gexcore.backend.refusals import check_vector
from gexcore_jax.data import full


@jax.jit
def ravel(params: Any) -> jax.Array:
    """A copy of all parameters as a vector, shape (p,), in float32 at least."""
    return jnp.copy(full(ravel_pytree(params)[0]))


def size(params: Any) -> int:
    """Number of parameters p."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def split(flat: Any, params: Any) -> Any:
    """A vector, shape (p,), as arrays with the shapes, dtypes and devices of the parameters.

    Raises
    ------
    InvalidDataError
        If the shape differs.
    """
    check_vector(np.shape(flat), size(params))
    vector = flat if isinstance(flat, jax.Array) else np.asarray(flat)
    pieces = _pieces(vector, params)
    return jax.tree.map(
        lambda a, p: jax.device_put(a, p.sharding) if p.committed else a, pieces, params
    )


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
