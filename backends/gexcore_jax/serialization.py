"""Serialisation: states as named arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from gexcore_jax.state import JaxState


def to_arrays(state: JaxState, initial: JaxState) -> dict[str, NDArray[Any]]:
    """Leaves by number, without leaves that θ* shares (a frozen base may be large)."""
    leaves, own = jax.tree.leaves(state), jax.tree.leaves(initial)
    return {
        f"leaves/{i}": _array(leaf)
        for i, (leaf, start) in enumerate(zip(leaves, own, strict=True))
        if leaf is not start
    }


def from_arrays(arrays: Mapping[str, NDArray[Any]], initial: JaxState) -> JaxState:
    """The state, with the types and devices of `initial`."""
    own, tree = jax.tree.flatten(initial)
    leaves = [
        _leaf(arrays[f"leaves/{i}"], like) if f"leaves/{i}" in arrays else like
        for i, like in enumerate(own)
    ]
    state: JaxState = jax.tree.unflatten(tree, leaves)
    return state


def _is_key(leaf: Any) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def _array(leaf: Any) -> NDArray[Any]:
    array = np.array(jax.random.key_data(leaf) if _is_key(leaf) else leaf)
    # NumPy files have no bfloat16 and similar types
    return array if array.dtype.kind in "biuf" else array.view(f"u{array.dtype.itemsize}")


def _leaf(array: NDArray[Any], like: Any) -> Any:
    if _is_key(like):
        value = jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(like))
    else:
        value = jnp.array(array if array.dtype == like.dtype else array.view(like.dtype), copy=True)
    return jax.device_put(value, like.sharding) if like.committed else value
