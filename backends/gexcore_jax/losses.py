"""Losses: one number per sample; high = badly predicted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from numpy.typing import NDArray

from gexcore.backend import losses as shared
from gexcore.backend.losses import IGNORED
from gexcore_jax.data import full


class Loss(NamedTuple):
    """A loss in two parts, because compiled code cannot refuse values.

    Parameters
    ----------
    value : callable
        Traceable function from model output and target to losses of shape (b,). A target with a
        forbidden value gives NaN.
    check : callable, optional
        Function of a NumPy target and the number of classes that refuses such values.
    parts : callable, optional
        Function as `value` that returns the losses of parts, shape (b, …); NaN where ignored.
    """

    value: Callable[[Any, Any], jax.Array]
    check: Callable[[NDArray[Any], int], None] | None = None
    parts: Callable[[Any, Any], jax.Array] | None = None


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
    losses, counted = _positions(output, target)
    if losses.ndim == 1:
        return losses
    positions = tuple(range(1, losses.ndim))
    return losses.sum(positions) / jnp.maximum(counted.sum(positions), 1)


def parts_of_cross_entropy(output: Any, target: Any) -> jax.Array:
    """Losses of tokens, pixels or samples, in the shape of their labels; NaN where ignored."""
    losses, counted = _positions(output, target)
    return losses if losses.ndim == 1 else jnp.where(counted, losses, jnp.nan)


def _positions(output: Any, target: Any) -> tuple[jax.Array, jax.Array]:
    """Cross-entropies of shape (b,) or (b, …), and where they are not ignored."""
    output, target = _arrays(output, target, "cross_entropy")
    if output.ndim < 2 or (output.ndim == 2 and output.shape[1] < 2):
        raise shared.one_score(output.shape)
    if jnp.issubdtype(target.dtype, jnp.floating):
        losses = _soft_cross_entropy(output, target)
        return losses, jnp.ones(losses.shape, bool)
    if output.ndim == 2 and target.shape == (output.shape[0], 1):
        target = target[:, 0]
    if target.shape != output.shape[:-1]:
        raise shared.wrong_labels(target.shape, output.shape)
    labels = jnp.clip(target, 0, output.shape[-1] - 1).astype(jnp.int32)
    losses = -jnp.take_along_axis(jax.nn.log_softmax(output), labels[..., None], axis=-1)[..., 0]
    counted = target != IGNORED
    return jnp.where(counted, jnp.where(target == labels, losses, jnp.nan), 0), counted


def squared_error(output: Any, target: Any) -> jax.Array:
    """Squared differences, summed over the outputs of a sample, shape (b,)."""
    losses = parts_of_squared_error(output, target)
    return losses.reshape(len(losses), -1).sum(1)


def parts_of_squared_error(output: Any, target: Any) -> jax.Array:
    """Squared difference of each output, shape (b, …)."""
    output, target, shape = _aligned(output, target, "squared_error")
    return jnp.square(output - target).reshape(shape)


def binary_cross_entropy(output: Any, target: Any) -> jax.Array:
    """Sigmoid cross-entropy of scores, not probabilities, summed over outputs.

    Output and target have shape (b,) or (b, …). Targets are 0, 1 or a probability in between.
    """
    losses = parts_of_binary_cross_entropy(output, target)
    return losses.reshape(len(losses), -1).sum(1)


def parts_of_binary_cross_entropy(output: Any, target: Any) -> jax.Array:
    """Sigmoid cross-entropy of each output, shape (b, …)."""
    output, target, shape = _aligned(output, target, "binary_cross_entropy")
    losses = jnp.maximum(output, 0) - output * target + jnp.log1p(jnp.exp(-jnp.abs(output)))
    return jnp.where((target >= 0) & (target <= 1), losses, jnp.nan).reshape(shape)


LOSSES = {
    "cross_entropy": Loss(cross_entropy, shared.check_labels, parts_of_cross_entropy),
    "squared_error": Loss(squared_error, None, parts_of_squared_error),
    "binary_cross_entropy": Loss(
        binary_cross_entropy,
        lambda target, classes: shared.check_probabilities(target),
        parts_of_binary_cross_entropy,
    ),
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
    named = shared.named(loss, LOSSES)
    if named is not None:
        return named
    own: Any = loss

    def checked(output: Any, target: Any) -> jax.Array:
        losses = own(output, target)
        b = jax.tree.leaves((target, output))[0].shape[0]
        if jnp.shape(losses) != (b,):
            raise shared.wrong_losses(jnp.shape(losses) if jnp.ndim(losses) else None, b)
        return full(losses)

    return Loss(checked)


def _soft_cross_entropy(output: jax.Array, target: jax.Array) -> jax.Array:
    if output.ndim != 2 or target.shape != output.shape:
        raise shared.wrong_probabilities(target.dtype, target.shape, output.shape)
    return -(target.astype(output.dtype) * jax.nn.log_softmax(output)).sum(1)


def _aligned(output: Any, target: Any, name: str) -> tuple[jax.Array, jax.Array, tuple[int, ...]]:
    """Both of shape (b, k), and the shape of the target with two dimensions or more."""
    output, target = _arrays(output, target, name)
    b = len(output) if output.ndim else 0
    # (b, 1) against (b,) is one output; broadcasting would make b x b outputs
    sizes = [[d for d in array.shape[1:] if d != 1] for array in (output, target)]
    if target.ndim == 0 or len(target) != b or sizes[0] != sizes[1]:
        raise shared.wrong_targets(name, target.shape, output.shape)
    shape = target.shape if target.ndim > 1 else (b, 1)
    return output.reshape(b, -1), target.reshape(b, -1).astype(output.dtype), shape


def _arrays(output: Any, target: Any, name: str) -> tuple[jax.Array, jax.Array]:
    if not isinstance(output, jax.Array):
        raise shared.no_scores(output, name)
    if not isinstance(target, jax.Array):
        raise shared.no_targets(type(target).__name__, name)
    return full(output), target
