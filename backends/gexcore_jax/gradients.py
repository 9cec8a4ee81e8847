"""The gradient of every sample's loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gexcore_jax.data import Call, full, roomy

LossesOf = Callable[[Any, Call], jax.Array]
"""A function from parameters and a batch to its losses, (b,)."""

AT_ONCE = 2**26
"""The most numbers in gradients that are computed together: 256 MB in float32."""


def of_samples(losses_of: LossesOf, params: Any, call: Call) -> jax.Array:
    """Gradients of the samples, shape (b, p), in the order of ``jax.tree.leaves``.

    Parameters
    ----------
    losses_of : callable
        Losses, each of which depends only on its own sample.
    params : pytree
    call : Call
    """
    try:
        return _one_by_one(losses_of, params, call)
    except Exception:  # such as an error of a model that squeezes, which cannot take one sample
        return _from_one_pass(losses_of, params, call)


def in_parts(gradients: Callable[[Call], jax.Array], call: Call, size: int) -> jax.Array:
    """The gradients of the whole batch, computed in parts that fit into memory.

    Parameters
    ----------
    gradients : callable
        Compiled function. It gets only one shape.
    call : Call
    size : int
        Number of parameters p.
    """
    b = call.size
    step = min(roomy(b), max(1, AT_ONCE // size))
    parts = [gradients(call.rows(np.arange(start, start + step))) for start in range(0, b, step)]
    return (parts[0] if len(parts) == 1 else jnp.concatenate(parts))[:b]


def _one_by_one(losses_of: LossesOf, params: Any, call: Call) -> jax.Array:
    leaves, tree = jax.tree.flatten(call)
    axes = [0 if np.shape(leaf)[:1] == (call.size,) else None for leaf in leaves]

    def one(*sample: Any) -> jax.Array:
        rows = [
            leaf if axis is None else leaf[None] for leaf, axis in zip(sample, axes, strict=True)
        ]
        return _flat(
            jax.grad(lambda values: losses_of(values, jax.tree.unflatten(tree, rows))[0])(params)
        )

    gradients: jax.Array = jax.vmap(one, in_axes=axes)(*leaves)
    return gradients


def _from_one_pass(losses_of: LossesOf, params: Any, call: Call) -> jax.Array:
    losses, pull = jax.vjp(lambda values: losses_of(values, call), params)
    gradients: jax.Array = jax.vmap(lambda weights: _flat(*pull(weights)))(
        jnp.eye(len(losses), dtype=losses.dtype)
    )
    return gradients


def _flat(gradient: Any) -> jax.Array:
    return full(ravel_pytree(gradient)[0])
