"""Equinox modules as pure functions."""

from __future__ import annotations

import inspect
from typing import Any

import equinox as eqx
import jax

from gexcore.errors import InvalidModelError
from gexcore_jax.models import JaxModel
from gexcore_jax.names import named


def from_equinox(module: eqx.Module) -> JaxModel:
    """A `JaxModel` of an Equinox module that takes one sample.

    Its floating-point arrays are trained. It is mapped over the batch. A module with ``key`` gets
    its own key for each sample. Modes are those of ``eqx.nn.inference_mode``.

    Raises
    ------
    InvalidModelError
        If the module has state, such as BatchNorm: its call depends on the user's code.
    """
    if any(
        isinstance(leaf, eqx.nn.StateIndex) for leaf in jax.tree.leaves(module, is_leaf=_is_index)
    ):
        msg = (
            f"{type(module).__name__} has layers with state, such as BatchNorm; "
            "give gexcore_jax.JaxModel(apply, params, buffers) with the eqx.nn.State as buffers"
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

    def apply(
        values: Any, buffers: Any, *args: Any, training: bool, key: jax.Array, **kwargs: Any
    ) -> tuple[Any, Any]:
        net: Any = eqx.combine(jax.tree.unflatten(tree, values.values()), rest[training])
        size = jax.tree.leaves((args, kwargs))[0].shape[0]

        def one(own: jax.Array, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
            return net(*inputs, **named, **({"key": own} if takes_key else {}))

        return jax.vmap(one)(jax.random.split(key, size), args, kwargs), buffers

    return JaxModel(apply, named(params))


def _is_index(node: Any) -> bool:
    return isinstance(node, eqx.nn.StateIndex)
