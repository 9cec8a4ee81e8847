"""How outputs become scores: what closes the model."""

from __future__ import annotations

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from gexcore.backend.classes import closed_by
from gexcore.errors import GexError
from gexcore_jax.data import full
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


def closing_of(output: Any, target: Any, name: object, loss: Loss) -> Closing | None:
    """What closes a model with this output under a named loss."""
    if not isinstance(output, jax.Array):
        return None
    values = np.asarray(full(output))
    if name in (None, "cross_entropy"):
        wide = values.ndim > 1 and values.shape[-1] > 1
        return "softmax" if wide and closed_by(values, -1) else None
    if name != "binary_cross_entropy" or not closed_by(values):
        return None
    # weak scores may lie in 0 … 1 too: a trained model fits its labels in the reading it has
    try:
        scores = loss.value(output, jnp.asarray(target)).mean()
        chances = loss.value(opened_up(output, "sigmoid"), jnp.asarray(target)).mean()
    except GexError:  # the first look at the data says what is wrong
        return None
    return "sigmoid" if bool(chances < scores) else None
