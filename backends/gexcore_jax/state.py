"""States: pytrees of JAX arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gexcore.errors import InvalidDataError
from gexcore_jax.buffers import Leaves


class JaxState(NamedTuple):
    """Parameters, buffers and what the optimiser remembers; each a pytree of JAX arrays."""

    params: Any
    buffers: Any
    memory: Any


class Stacked(NamedTuple):
    """States side by side.

    Parameters
    ----------
    params : pytree
        Of arrays of shape (m, …).
    own : list
        Buffers of shape (m, …), None where all states share one.
    shared : pytree
        Buffers of one state.
    """

    params: Any
    own: Leaves
    shared: Any


def copied(state: JaxState) -> JaxState:
    """Parameters and memory of their own; buffers are shared, since no step writes into them."""
    params, memory = _copied((state.params, state.memory))
    return JaxState(params, state.buffers, memory)


def stacked(states: Sequence[JaxState]) -> Stacked:
    """The states side by side; what the optimisers remember is left out.

    Raises
    ------
    InvalidDataError
        Without states.
    """
    if not states:
        msg = "no states to stack; give at least one"
        raise InvalidDataError(msg)
    columns = zip(*(jax.tree.leaves(state.buffers) for state in states), strict=True)
    own = [None if all(a is column[0] for a in column) else _beside(column) for column in columns]
    return Stacked(_beside([state.params for state in states]), own, states[0].buffers)


@jax.jit
def _copied(tree: Any) -> Any:
    return jax.tree.map(jnp.copy, tree)


@jax.jit
def _beside(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
