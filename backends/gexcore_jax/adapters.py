"""Adapters: from the user's model to our own `JaxModel`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gexcore.errors import InvalidModelError
from gexcore_jax.models import JaxModel
from gexcore_jax.plugin import EQUINOX, LINEN, NNX, TRAIN_STATE, is_a


def functional(model: Any) -> JaxModel:
    """The model as a pure function, with copies of its arrays on their devices.

    Parameters
    ----------
    model : JaxModel, (apply, params), flax.nnx.Module or equinox.Module

    Raises
    ------
    InvalidModelError
        If the model has another form, or its parameters cannot be trained.
    """
    found = _recognised(model)
    params = jax.tree_util.tree_map_with_path(_parameter, found.params)
    if not jax.tree.leaves(params):
        msg = (
            f"{_told(model)} has no trainable parameters; give one with at least one "
            "floating-point array to train"
        )
        raise InvalidModelError(msg)
    buffers = jax.tree_util.tree_map_with_path(_buffer, found.buffers)
    statistics = found.statistics
    if statistics is None:
        statistics = any(
            jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(buffers)
        )
    return JaxModel(found.apply, params, buffers, statistics)


def is_model(value: Any) -> bool:
    """Whether the value is a model, and not its arrays."""
    modules = (*NNX, *EQUINOX)
    pair = (
        isinstance(value, tuple)
        and len(value) == 2
        and callable(value[0])
        and not is_a(value[0], modules)
    )
    return pair or isinstance(value, JaxModel) or is_a(value, modules)


def _recognised(model: Any) -> JaxModel:
    if isinstance(model, JaxModel):
        return model
    if is_a(model, NNX):
        from gexcore_jax.flax_nnx import from_nnx

        return from_nnx(model)
    if is_a(model, EQUINOX):
        from gexcore_jax.equinox import from_equinox

        return from_equinox(model)
    if is_a(model, TRAIN_STATE):
        from gexcore_jax.linen import from_train_state

        return from_train_state(model)
    if isinstance(model, tuple) and len(model) == 2 and callable(model[0]):
        first, params = model
        module = _linen_of(first, params)
        if module is not None:
            from gexcore_jax.linen import from_linen

            return from_linen(module, params)
        if not is_a(first, (*NNX, *LINEN, *EQUINOX)):
            return _stateless(first, params)
        msg = (
            f"a tuple that starts with a {_told(first)} is not understood; give (apply, "
            "params) with a function "
            "apply(params, x) -> scores, or gexcore_jax.JaxModel(apply, params, buffers)"
        )
    elif is_a(model, LINEN):
        msg = (
            f"{_told(model)} is a Linen module, which does not hold its parameters; give "
            "(module, variables) with what module.init returned, or the TrainState"
        )
    else:
        msg = (
            f"the JAX backend does not take {_told(model)}; give (apply, params), a "
            "gexcore_jax.JaxModel, "
            "a flax.nnx.Module or an equinox.Module"
        )
    raise InvalidModelError(msg)


def _linen_of(first: Any, params: Any) -> Any:
    """The Linen module of (module, variables), or of (module.apply, variables) with a mode."""
    if is_a(first, LINEN):
        return first
    module = getattr(first, "__self__", None)
    if not is_a(module, LINEN) or not isinstance(params, Mapping):
        return None
    from gexcore_jax.linen import mode_of

    return module if len(params) > 1 or mode_of(module) is not None else None


def _stateless(apply: Callable[..., Any], params: Any) -> JaxModel:
    if isinstance(params, Mapping) and "params" in params and len(params) > 1:
        others = ", ".join(sorted(str(name) for name in params if name != "params"))
        msg = (
            f"the variables hold the collections {others} beside 'params', and all that "
            "(apply, params) has is trained; "
            "give gexcore_jax.JaxModel(apply, params, buffers) with those collections as buffers"
        )
        raise InvalidModelError(msg)

    def run(
        values: Any, buffers: Any, *args: Any, training: bool, key: jax.Array, **kwargs: Any
    ) -> tuple[Any, Any]:
        return apply(values, *args, **kwargs), buffers

    return JaxModel(run, params)


def _parameter(path: Any, leaf: Any) -> jax.Array:
    array = leaf if isinstance(leaf, jax.Array) else np.asarray(leaf)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        msg = (
            f"the parameters hold {array.dtype} at "
            f"{jax.tree_util.keystr(path) or 'the top'}, and only floating-point "
            "arrays can be trained; move it to the buffers of a gexcore_jax.JaxModel"
        )
        raise InvalidModelError(msg)
    return _owned(array)


def _buffer(path: Any, leaf: Any) -> jax.Array:
    array = leaf if isinstance(leaf, jax.Array) else np.asarray(leaf)
    if isinstance(array, np.ndarray) and array.dtype.kind in "OUSmM":
        msg = (
            f"the buffers hold {type(leaf).__name__} at "
            f"{jax.tree_util.keystr(path) or 'the top'}, and only arrays of "
            "numbers are allowed; leave the rest to apply"
        )
        raise InvalidModelError(msg)
    return _owned(array)


def _owned(array: Any) -> jax.Array:
    # copies, because the user may donate or overwrite arrays; naming the dtype makes a weak
    # type strong, which a step would also do, and would then compile twice
    return jnp.array(array, dtype=array.dtype if isinstance(array, jax.Array) else None, copy=True)


def _told(model: Any) -> str:
    return type(model).__name__
