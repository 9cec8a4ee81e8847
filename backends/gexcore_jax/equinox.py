"""Equinox modules as pure functions."""

from __future__ import annotations

import inspect
from typing import Any

import equinox as eqx
import jax

from gexcore.errors import InvalidModelError
from gexcore_jax.models import JaxModel
from gexcore_jax.paths import named

SETTLED = 2**30
"""A count of batches after which a bias correction has no effect."""


def from_equinox(module: eqx.Module, state: Any = None) -> JaxModel:
    """A `JaxModel` of an Equinox module that takes one sample, and of its state.

    Its floating-point arrays are trained. It is mapped over the batch, under the axis names of its
    BatchNorm layers. A module with ``key`` gets its own key for each sample. Modes are those of
    ``eqx.nn.inference_mode``.

    Raises
    ------
    InvalidModelError
        If the module has state, such as BatchNorm, and the state is not given, or is an old one.
    """
    if state is None and any(
        isinstance(leaf, eqx.nn.StateIndex) for leaf in jax.tree.leaves(module, is_leaf=_is_index)
    ):
        msg = (
            f"{type(module).__name__} has layers with state, such as BatchNorm; give the tuple "
            "(module, state), or gexcore_jax.JaxModel(apply, params, buffers)"
        )
        raise InvalidModelError(msg)
    params, _ = eqx.partition(module, eqx.is_inexact_array)
    tree = jax.tree.structure(params)
    rest = {
        training: eqx.filter(
            eqx.nn.inference_mode(module, value=not training), eqx.is_inexact_array, inverse=True
        )
        for training in (False, True)
    }
    takes_key = "key" in inspect.signature(module).parameters  # type: ignore[arg-type]
    norms = [layer for layer in _layers(module) if isinstance(layer, eqx.nn.BatchNorm)]
    axis = next((layer.axis_name for layer in norms), None)
    try:
        leaves, shape = jax.tree.flatten(_settled(norms, state))
    except ValueError as error:
        msg = (
            f"the state of {type(module).__name__} was used up by a call of the module; give the "
            "state that the last call returned"
        )
        raise InvalidModelError(msg) from error

    def apply(
        values: Any, buffers: Any, *args: Any, training: bool, key: jax.Array, **kwargs: Any
    ) -> tuple[Any, Any]:
        net: Any = eqx.combine(jax.tree.unflatten(tree, values.values()), rest[training])
        size = jax.tree.leaves((args, kwargs))[0].shape[0]
        keys = jax.random.split(key, size)

        def one(own: jax.Array, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
            more = {"key": own} if takes_key else {}
            if state is None:
                return net(*inputs, **named, **more), ()
            return net(*inputs, jax.tree.unflatten(shape, buffers), **named, **more)

        out, new = jax.vmap(one, out_axes=(0, None), axis_name=axis)(keys, args, kwargs)
        return out, tuple(jax.tree.leaves(new)) if training and state is not None else buffers

    return JaxModel(apply, named(params), tuple(leaves))


def _layers(module: Any) -> list[Any]:
    return jax.tree.leaves(module, is_leaf=lambda node: isinstance(node, eqx.nn.BatchNorm))


def _settled(norms: list[Any], state: Any) -> Any:
    """The state with averages that need no correction for the few batches that they have seen.

    It is a copy: setting a value in a state makes the state itself unusable.
    """
    leaves, tree = jax.tree.flatten(state)
    state = jax.tree.unflatten(tree, leaves)
    for layer in norms:
        if getattr(layer, "batch_counter", None) is None:
            continue
        counter, moving = state.get(layer.batch_counter), state.get(layer.batch_state_index)
        share = jax.numpy.where(counter == 0, 1, 1 - layer.momentum**counter)
        state = state.set(layer.batch_state_index, tuple(value / share for value in moving))
        state = state.set(layer.batch_counter, jax.numpy.full_like(counter, SETTLED))
    return state


def _is_index(node: Any) -> bool:
    return isinstance(node, eqx.nn.StateIndex)
