"""Flax Linen modules as pure functions."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import jax

from gexcore.errors import InvalidModelError
from gexcore_jax.models import JaxModel

TRAINING = ("train", "training", "is_training")
EVALUATING = ("deterministic", "eval", "use_running_average")
"""Names of the argument that tells a module its mode: true in training, and true in evaluation."""

OPTIMISING = ("step", "apply_fn", "params", "tx", "opt_state")


def mode_of(module: Any) -> tuple[str, bool] | None:
    """The argument of a module that tells its mode, and its value in training."""
    parameters = inspect.signature(type(module).__call__).parameters
    found = next((name for name in (*TRAINING, *EVALUATING) if name in parameters), None)
    return None if found is None else (found, found in TRAINING)


def from_linen(module: Any, variables: Mapping[str, Any]) -> JaxModel:
    """A Linen module with its variables; those of ``"params"`` are trained.

    Other collections, such as ``"batch_stats"``, are buffers. The mode is given by the argument
    ``train``, ``training``, ``is_training``, ``deterministic`` or ``use_running_average`` of the
    module, if it has one. Dropout takes its key from the stream ``"dropout"``.

    Raises
    ------
    InvalidModelError
        For variables without parameters.
    """
    if not isinstance(variables, Mapping) or "params" not in variables:
        msg = (
            f"the variables of {type(module).__name__} have no collection 'params'; give what "
            "module.init returned, or {'params': ...}"
        )
        raise InvalidModelError(msg)
    buffers = {name: value for name, value in variables.items() if name != "params"}
    mode = mode_of(module)

    def apply(
        values: Any, kept: Any, *args: Any, training: bool, key: jax.Array, **kwargs: Any
    ) -> tuple[Any, Any]:
        named = {} if mode is None else {mode[0]: training == mode[1]}
        call = {**kwargs, **named, "rngs": {"dropout": key}}
        bound = {"params": values, **kept}
        if not training or not kept:
            return module.apply(bound, *args, **call), kept
        scores, new = module.apply(bound, *args, mutable=list(kept), **call)
        return scores, {**kept, **new}

    return JaxModel(apply, variables["params"], buffers)


def from_train_state(state: Any) -> JaxModel:
    """A ``flax.training.train_state.TrainState`` of a Linen module.

    Its further fields that hold collections, such as ``batch_stats``, are buffers.

    Raises
    ------
    InvalidModelError
        For a state whose ``apply_fn`` is no ``module.apply``.
    """
    module = getattr(state.apply_fn, "__self__", None)
    if module is None:
        msg = (
            "the apply_fn of the TrainState is no module.apply; give gexcore_jax.JaxModel(apply, "
            "params, buffers)"
        )
        raise InvalidModelError(msg)
    more = {f.name: getattr(state, f.name) for f in fields(state) if f.name not in OPTIMISING}
    collections = {name: value for name, value in more.items() if isinstance(value, Mapping)}
    return from_linen(module, {"params": state.params, **collections})
