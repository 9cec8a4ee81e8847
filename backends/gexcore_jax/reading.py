"""How outputs become scores: what closes the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from gexcore.backend.classes import closed_by
from gexcore.errors import GexError
from gexcore_jax.data import full
from gexcore_jax.jaxprs import CALLS, CUSTOM, flattened
from gexcore_jax.losses import Loss

Closing = Literal["softmax", "sigmoid"]


def opened_up(output: Any, closing: Closing | None) -> Any:
    """Scores of an output that a softmax or a sigmoid closes; any other output as it is."""
    if closing is None or not isinstance(output, jax.Array):
        return output
    p = full(output)
    least = jnp.finfo(p.dtype).tiny  # type: ignore[no-untyped-call]
    logs = jnp.log(jnp.maximum(p, least))
    return logs if closing == "softmax" else logs - jnp.log1p(-jnp.minimum(p, 1 - 2**-24))


LINEAR = ("dot_general", "conv_general_dilated", "add", "add_any", "sub", "mul")
"""Operations that make scores, never probabilities."""

RESHAPING = (
    "reshape", "squeeze", "broadcast_in_dim", "transpose", "slice", "convert_element_type", "copy",
)  # fmt: skip
"""Operations that change the shape or the type of an output only."""


def last_operation(function: Callable[..., Any], *args: Any) -> str:
    """Name of the operation that makes the output of a function, without changes of shape."""
    program = flattened(function, *args, opened=CALLS | CUSTOM)[0].jaxpr
    made = {atom: equation for equation in program.eqns for atom in equation.outvars}
    equation = made.get(program.outvars[0])
    while equation is not None and equation.primitive.name in RESHAPING:
        equation = made.get(equation.invars[0])
    return "" if equation is None else str(equation.primitive.name)


def closing_of(
    output: Any, target: Any, name: object, loss: Loss, last: str = ""
) -> Closing | None:
    """What closes a model with this output and last operation under a named loss."""
    if not isinstance(output, jax.Array):
        return None
    values = np.asarray(full(output))
    if name in (None, "cross_entropy"):
        wide = values.ndim > 1 and values.shape[-1] > 1
        return "softmax" if wide and closed_by(values, -1) else None
    if name != "binary_cross_entropy" or not closed_by(values):
        return None
    if last == "logistic" or last in LINEAR:
        return "sigmoid" if last == "logistic" else None
    # weak scores may lie in 0 … 1 too: a trained model fits its labels in the reading it has
    try:
        scores = loss.value(output, jnp.asarray(target)).mean()
        chances = loss.value(opened_up(output, "sigmoid"), jnp.asarray(target)).mean()
    except GexError:  # the first look at the data says what is wrong
        return None
    return "sigmoid" if bool(chances < scores) else None
