"""States: pytrees of JAX arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gexcore.errors import InvalidDataError
from gexcore_jax.buffers import Leaves


class JaxState(NamedTuple):
    """Parameters, buffers and memory of the optimiser, each a pytree of JAX arrays."""

    params: Any
    buffers: Any
    memory: Any


class Stacked(NamedTuple):
    """States side by side.

    Parameters
    ----------
    params : pytree
        Parameters of shape (m, …).
    own : list
        Buffers of shape (m, …). None for a buffer that all states share.
    shared : pytree
        Buffers of one state.
    """

    params: Any
    own: Leaves
    shared: Any


def copied(state: JaxState) -> JaxState:
    """A state with its own parameters and memory. Buffers are shared, as no step writes to them."""
    params, memory = _copied((state.params, state.memory))
    return JaxState(params, state.buffers, memory)


def stacked(states: Sequence[JaxState]) -> Stacked:
    """The states side by side, without the memory of the optimisers.

    Raises
    ------
    InvalidDataError
        If there are no states.
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
