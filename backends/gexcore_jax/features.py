"""Features: inputs of the last linear layer of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gexcore.errors import InvalidModelError
from gexcore_jax.data import Call, full
from gexcore_jax.jaxprs import CALLS, CUSTOM, bind, flattened, interpret
from gexcore_jax.layers import layers_of


def features(
    outputs_of: Callable[[Any, Any, Call], Any], params: Any, buffers: Any, call: Call
) -> jax.Array:
    """Inputs of the last linear layer, shape (b, h). This function is compiled.

    Parameters
    ----------
    outputs_of : callable
        Function from parameters, buffers and call to the model's output.

    Raises
    ------
    InvalidModelError
        If there is no linear layer, or its input has no axis of samples.
    """

    def last(call: Call) -> Any:
        return _last_inputs(outputs_of, params, buffers, call)

    inputs = last(call)
    # a larger batch tells the axis of samples from an axis of equal length
    longer = jax.eval_shape(last, call.shaped(call.size + 8))
    axes = [axis for axis, n in enumerate(longer.shape) if n != inputs.shape[axis]]
    if len(axes) != 1 or inputs.shape[axes[0]] != call.size:
        msg = (
            f"the last linear layer gets an input of shape {inputs.shape}, where no axis is that "
            f"of the {call.size} samples; reshape it, or choose a method that does without features"
        )
        raise InvalidModelError(msg)
    # a copy, because JAX would share a NumPy array that the caller may write to
    return jnp.copy(full(jnp.moveaxis(inputs, axes[0], 0).reshape(call.size, -1)))


def _last_inputs(
    outputs_of: Callable[[Any, Any, Call], Any], params: Any, buffers: Any, call: Call
) -> Any:
    flat, _ = flattened(outputs_of, params, buffers, call, opened=CALLS | CUSTOM)
    layers = layers_of(flat, len(jax.tree.leaves((params, buffers))))
    dense = [layer for layer in layers if layer.equation.primitive.name == "dot_general"]
    if not dense:
        msg = (
            "no linear layer is found in the model, a parameter that is multiplied with what "
            "depends on the samples outside of loops, so it has no features; choose a method that "
            "does without"
        )
        raise InvalidModelError(msg)
    layer = dense[-1]
    seen: list[Any] = []

    def rule(equation: Any, values: list[Any]) -> Any:
        if equation is layer.equation:
            seen.append(values[1 - layer.side])
        return bind(equation, values)

    interpret(flat, jax.tree.leaves((params, buffers, call)), rule)
    return seen[0]
