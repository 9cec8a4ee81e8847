"""Adapters: from the user's model to our own `JaxModel`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gexcore.errors import InvalidModelError
from gexcore_jax.haiku import from_haiku, is_transformed, takes_rng
from gexcore_jax.models import JaxModel
from gexcore_jax.plugin import EQUINOX, LINEN, NNX, TRAIN_STATE, is_a, recognises

POSITIONAL = inspect.Parameter.POSITIONAL_OR_KEYWORD


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


MODES = (
    "train", "training", "is_training", "deterministic", "eval", "use_running_average",
    "key", "rng", "rngs", "state", "mutable",
)  # fmt: skip
"""Names of arguments that are no inputs."""


def arguments_of(model: Any) -> tuple[frozenset[str] | None, int | None]:
    """Names of the inputs that a model takes, and the most positional ones; None where unknown."""
    call, skipped = model, 0
    if isinstance(model, JaxModel):
        call, skipped = model.apply, 2
    elif is_a(model, TRAIN_STATE):
        call = getattr(model.apply_fn, "__self__", None)
    elif isinstance(model, tuple):
        call = model[0]
        if getattr(call, "__self__", None) is not None:
            call = call.__self__
        skipped = 0 if is_a(call, (*LINEN, *EQUINOX)) else 1
    if not callable(call):
        return None, None
    parameters = list(inspect.signature(call).parameters.values())[skipped:]
    inputs = [p for p in parameters if p.name not in MODES]
    kinds = {p.kind for p in inputs}
    several = inspect.Parameter.VAR_POSITIONAL in kinds
    anything = inspect.Parameter.VAR_KEYWORD in kinds
    names = None if anything or several else frozenset(p.name for p in inputs)
    return names, None if several else len([p for p in inputs if p.kind <= POSITIONAL])


def is_model(value: Any) -> bool:
    """Whether the value is a model, and not its arrays."""
    modules = (*NNX, *EQUINOX)
    if isinstance(value, JaxModel) or is_a(value, (*modules, *TRAIN_STATE)):
        return True
    if not isinstance(value, tuple) or len(value) not in (2, 3) or is_a(value[0], NNX):
        return False
    pair = len(value) == 2 and callable(value[0]) and not is_a(value[0], EQUINOX)
    return pair or recognises(value)


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
    if isinstance(model, tuple) and len(model) in (2, 3) and is_transformed(model[0]):
        return from_haiku(model[0].apply, *model[1:])
    if isinstance(model, tuple) and len(model) == 2 and is_a(model[0], EQUINOX):
        from gexcore_jax.equinox import from_equinox

        return from_equinox(*model)
    if isinstance(model, tuple) and len(model) == 2 and callable(model[0]):
        first, params = model
        if takes_rng(first):
            return from_haiku(first, params)
        module = _linen_of(first, params)
        if module is not None:
            from gexcore_jax.linen import from_linen

            return from_linen(module, params)
        if not is_a(first, (*NNX, *LINEN, *EQUINOX)):
            return _stateless(first, params)
        msg = (
            f"a tuple that starts with a {_told(first)} is not understood; give (apply, params) "
            "with a function apply(params, x) -> scores, or gexcore_jax.JaxModel(apply, params, "
            "buffers)"
        )
    elif is_a(model, LINEN):
        msg = (
            f"{_told(model)} is a Linen module, which does not hold its parameters; give "
            "(module, variables) with what module.init returned, or the TrainState"
        )
    else:
        msg = (
            f"the JAX backend does not take {_told(model)}; give (apply, params), a "
            "gexcore_jax.JaxModel, a flax.nnx.Module or an equinox.Module"
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
            f"the variables hold the collections {others} beside 'params', and all that (apply, "
            "params) has is trained; give gexcore_jax.JaxModel(apply, params, buffers) with those "
            "collections as buffers"
        )
        raise InvalidModelError(msg)

    def run(
        values: Any, buffers: Any, *args: Any, training: bool, key: jax.Array, **kwargs: Any
    ) -> tuple[Any, Any]:
        return apply(values, *args, **kwargs), buffers

    return JaxModel(run, params)


def _parameter(path: Any, leaf: Any) -> jax.Array:
    _check_values(path, leaf)
    array = leaf if isinstance(leaf, jax.Array) else np.asarray(leaf)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        msg = (
            f"the parameters hold {array.dtype} at {jax.tree_util.keystr(path) or 'the top'}, and "
            "only floating-point arrays can be trained; move it to the buffers of a "
            "gexcore_jax.JaxModel"
        )
        raise InvalidModelError(msg)
    return _owned(array)


def _buffer(path: Any, leaf: Any) -> jax.Array:
    _check_values(path, leaf)
    array = leaf if isinstance(leaf, jax.Array) else np.asarray(leaf)
    if isinstance(array, np.ndarray) and array.dtype.kind in "OUSmM":
        msg = (
            f"the buffers hold {type(leaf).__name__} at {jax.tree_util.keystr(path) or 'the top'}, "
            "and only arrays of numbers are allowed; leave the rest to apply"
        )
        raise InvalidModelError(msg)
    return _owned(array)


def _check_values(path: Any, leaf: Any) -> None:
    """Refuse an array whose values are gone, or were never there."""
    where = jax.tree_util.keystr(path) or "the top"
    if isinstance(leaf, jax.Array) and leaf.is_deleted():
        msg = (
            f"the array at {where} of the model was deleted, as a step with donated arguments "
            "does; give what the last step returned"
        )
        raise InvalidModelError(msg)
    if isinstance(leaf, jax.ShapeDtypeStruct):
        msg = (
            f"the model has a shape without values at {where}, as jax.eval_shape returns; give "
            "trained arrays"
        )
        raise InvalidModelError(msg)


def _owned(array: Any) -> jax.Array:
    # copies, because the user may donate or overwrite arrays; naming the dtype makes a weak
    # type strong, which a step would also do, and would then compile twice
    return jnp.array(array, dtype=array.dtype if isinstance(array, jax.Array) else None, copy=True)


def _told(model: Any) -> str:
    return type(model).__name__
