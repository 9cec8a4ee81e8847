"""Losses: one number per sample; high = badly predicted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from numpy.typing import NDArray

from gexcore.errors import InvalidDataError, InvalidModelError
from gexcore_jax.data import full

IGNORED = -100
"""Label of an ignored position, as in PyTorch and Hugging Face's models."""


class Loss(NamedTuple):
    """A loss in two parts, because compiled code cannot refuse values.

    Parameters
    ----------
    value : callable
        Traceable function from model output and target to losses of shape (b,). A target with a
        forbidden value gives NaN.
    check : callable, optional
        Function of the same arguments that refuses such values of a NumPy target. It needs only the
        shape of the output.
    """

    value: Callable[[Any, Any], jax.Array]
    check: Callable[[Any, NDArray[Any]], None] | None = None


def cross_entropy(output: Any, target: Any) -> jax.Array:
    """Softmax cross-entropy.

    Parameters
    ----------
    output : array
        Scores of shape (b, K); of positions (b, …, K).
    target : array
        Labels 0 … K−1 of shape (b,) or (b, …); or probabilities of shape (b, K). A sample's loss
        is the mean over its positions that are not -100. Labels are compared position by
        position: those of a causal language model must be shifted beforehand.

    Raises
    ------
    InvalidModelError
        If the output has no scores of two classes or more.
    InvalidDataError
        If targets do not fit the scores in shape or kind.
    """
    output, target = _arrays(output, target, "cross_entropy")
    if output.ndim < 2 or (output.ndim == 2 and output.shape[1] < 2):
        msg = (
            "cross_entropy needs scores of shape (b, K), two classes or more, and the model "
            f"returned {output.shape}; "
            "use loss='binary_cross_entropy' for a single score, 'squared_error' for regression"
        )
        raise InvalidModelError(msg)
    if jnp.issubdtype(target.dtype, jnp.floating):
        return _soft_cross_entropy(output, target)
    if target.shape != output.shape[:-1]:
        msg = (
            f"cross_entropy got labels of shape {target.shape} for scores of shape {output.shape}; "
            "give one label per sample, or one per position"
        )
        raise InvalidDataError(msg)
    labels = jnp.clip(target, 0, output.shape[-1] - 1).astype(jnp.int32)
    losses = -jnp.take_along_axis(jax.nn.log_softmax(output), labels[..., None], axis=-1)[..., 0]
    counted = target != IGNORED
    losses = jnp.where(counted, jnp.where(target == labels, losses, jnp.nan), 0)
    if losses.ndim == 1:
        return losses
    positions = tuple(range(1, losses.ndim))
    return losses.sum(positions) / jnp.maximum(counted.sum(positions), 1)


def squared_error(output: Any, target: Any) -> jax.Array:
    """Squared differences, summed over the outputs of a sample, shape (b,)."""
    output, target = _aligned(output, target, "squared_error")
    return jnp.square(output - target).sum(1)


def binary_cross_entropy(output: Any, target: Any) -> jax.Array:
    """Sigmoid cross-entropy of scores, not probabilities, summed over outputs.

    Output and target have shape (b,) or (b, …). Targets are 0, 1 or a probability in between.
    """
    output, target = _aligned(output, target, "binary_cross_entropy")
    losses = jnp.maximum(output, 0) - output * target + jnp.log1p(jnp.exp(-jnp.abs(output)))
    return jnp.where((target >= 0) & (target <= 1), losses, jnp.nan).sum(1)


def check_labels(output: Any, target: NDArray[Any]) -> None:
    """Refuse integer labels outside 0 … K−1 that are not -100.

    Raises
    ------
    InvalidDataError
        If a label is outside. The error names the first one.
    """
    if target.dtype.kind not in "iu":  # probabilities
        return
    classes = output.shape[-1]
    if (
        target.size and target.min() >= 0 and target.max() < classes
    ):  # the usual case, in two passes
        return
    bad = ((target < 0) | (target >= classes)) & (target != IGNORED)
    if bad.any():
        msg = (
            f"label {target[bad][0]} is outside 0 … {classes - 1}, the {classes} classes of "
            "the model; "
            "recode the labels"
        )
        raise InvalidDataError(msg)


def check_probabilities(output: Any, target: NDArray[Any]) -> None:
    """Refuse targets outside 0 … 1.

    Raises
    ------
    InvalidDataError
    """
    if not ((target >= 0) & (target <= 1)).all():
        msg = (
            "binary_cross_entropy got targets outside 0 … 1; only 0, 1 and probabilities are "
            "allowed: map -1 to 0"
        )
        raise InvalidDataError(msg)


LOSSES = {
    "cross_entropy": Loss(cross_entropy, check_labels),
    "squared_error": Loss(squared_error),
    "binary_cross_entropy": Loss(binary_cross_entropy, check_probabilities),
}
"""Losses by name. The first one is the default."""


def loss_of(loss: str | Callable[..., Any] | None) -> Loss:
    """The named loss, or the user's own loss with a check of its result.

    Parameters
    ----------
    loss : str, callable or None
        A callable takes the model's output (or its ``logits``) and the target. It returns losses of
        shape (b,). It is traced.

    Raises
    ------
    InvalidModelError
        If the name is unknown. Later, if a callable does not return one loss per sample.
    """
    if loss is None:
        return LOSSES["cross_entropy"]
    if isinstance(loss, str) and loss in LOSSES:
        return LOSSES[loss]
    if not callable(loss):
        msg = (
            f"no loss named {loss!r}; allowed are {', '.join(LOSSES)}, "
            "and a function (output, target) -> losses of shape (b,)"
        )
        raise InvalidModelError(msg)

    def checked(output: Any, target: Any) -> jax.Array:
        losses = loss(output, target)
        b = jax.tree.leaves((target, output))[0].shape[0]
        if jnp.shape(losses) != (b,):
            found = f"shape {jnp.shape(losses)}" if jnp.ndim(losses) else "one number"
            msg = (
                f"the loss returned {found} for {b} samples; it must return shape ({b},), as "
                "without the mean"
            )
            raise InvalidModelError(msg)
        return full(losses)

    return Loss(checked)


def scores_of(output: Any) -> Any:
    """The model's output, or its `logits` if it has them."""
    if isinstance(output, Mapping) and "logits" in output:
        return output["logits"]
    return getattr(output, "logits", output)


def _soft_cross_entropy(output: jax.Array, target: jax.Array) -> jax.Array:
    if output.ndim != 2 or target.shape != output.shape:
        msg = (
            f"cross_entropy got {target.dtype} targets of shape {target.shape} for scores of "
            f"shape {output.shape}; "
            "give integer labels or probabilities of shape (b, K), or use "
            "loss='squared_error' for regression"
        )
        raise InvalidDataError(msg)
    return -(target.astype(output.dtype) * jax.nn.log_softmax(output)).sum(1)


def _aligned(output: Any, target: Any, name: str) -> tuple[jax.Array, jax.Array]:
    output, target = _arrays(output, target, name)
    b = len(output) if output.ndim else 0
    # (b, 1) against (b,) is one output; broadcasting would make b x b outputs
    sizes = [[d for d in array.shape[1:] if d != 1] for array in (output, target)]
    if target.ndim == 0 or len(target) != b or sizes[0] != sizes[1]:
        msg = (
            f"{name} got targets of shape {target.shape} for outputs of shape {output.shape}; "
            "give one target per output"
        )
        raise InvalidDataError(msg)
    return output.reshape(b, -1), target.reshape(b, -1).astype(output.dtype)


def _arrays(output: Any, target: Any, name: str) -> tuple[jax.Array, jax.Array]:
    if not isinstance(output, jax.Array):
        msg = (
            f"the model returned {type(output).__name__}, and {name} needs an array or an "
            "object with .logits; "
            "wrap the model, or give loss= a function of that output"
        )
        raise InvalidModelError(msg)
    if not isinstance(target, jax.Array):
        msg = (
            f"the targets are of type {type(target).__name__}, and {name} needs an array; give "
            "arrays"
        )
        raise InvalidDataError(msg)
    return full(output), target
