"""Transformed functions of Haiku as pure functions. Haiku is not imported."""

from __future__ import annotations

import inspect
from typing import Any

import jax

from gexcore_jax.models import JaxModel

TRAINING = ("is_training", "train", "training")
"""Names of the argument that tells a function its mode."""


def is_transformed(value: Any) -> bool:
    """Whether this is what ``haiku.transform`` or ``haiku.transform_with_state`` returns."""
    return isinstance(value, tuple) and getattr(value, "_fields", None) == ("init", "apply")


def takes_rng(apply: Any) -> bool:
    """Whether a function is (params, rng, …), as ``haiku.transform`` makes it."""
    names = list(_parameters(apply))
    return len(names) > 1 and names[1] == "rng"


def from_haiku(apply: Any, params: Any, state: Any = None) -> JaxModel:
    """A `JaxModel` of ``apply(params, [state], [rng], x)``.

    The state of ``transform_with_state`` is the buffers. A function with an argument
    ``is_training`` must have it set, by ``functools.partial`` or a default.
    """
    stateful = state is not None
    random = "rng" in list(_parameters(apply))[: 2 + stateful]
    mode = next((name for name in TRAINING if name in _parameters(apply)), None)

    def run(
        values: Any, kept: Any, *args: Any, training: bool, key: jax.Array, **kwargs: Any
    ) -> tuple[Any, Any]:
        more = (*((kept,) if stateful else ()), *((key,) if random else ()))
        named = {} if mode is None else {mode: training}
        found = apply(values, *more, *args, **kwargs, **named)
        if not stateful:
            return found, kept
        scores, new = found
        return scores, new if training else kept

    return JaxModel(run, params, state if stateful else ())


def _parameters(apply: Any) -> Any:
    return inspect.signature(apply).parameters
