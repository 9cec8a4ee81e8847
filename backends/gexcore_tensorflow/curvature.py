"""Derivatives along directions of the trainable parameters. Its functions are traced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

LossesOf = Callable[[], tf.Tensor]
"""A function without arguments that returns the losses of a batch, shape (b,)."""


def jvp_forward(
    losses_of: LossesOf, bound: Sequence[Any], tangents: Sequence[tf.Tensor]
) -> tf.Tensor:
    """Directional derivatives, shape (b,), in forward mode, or else in reverse mode.

    Parameters are tensors, because forward mode fails for captured variables of compiled functions.
    Reverse mode serves models with an operation without forward mode.
    """
    try:
        with tf.autodiff.ForwardAccumulator(list(bound), list(tangents)) as accumulator:
            losses = losses_of()
        return accumulator.jvp(losses, unconnected_gradients="zero")
    except (LookupError, TypeError):  # the error of loops, and so of recurrent layers
        return jvp_reverse(losses_of, bound, tangents)


def jvp_reverse(
    losses_of: LossesOf, bound: Sequence[Any], tangents: Sequence[tf.Tensor]
) -> tf.Tensor:
    """Directional derivatives by reverse mode twice.

    The product with the transposed Jacobian is linear in its weights. Its derivative by the weights
    along the tangent is the result.
    """
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(bound)
            losses = losses_of()
        weights = tf.ones_like(losses)
        outer.watch(weights)
        product = _dot(
            dense(inner.gradient(losses, bound, weights, unconnected_gradients="zero")), tangents
        )
    return outer.gradient(product, weights, unconnected_gradients="zero")


def hvp(
    losses_of: LossesOf, bound: Sequence[Any], tangents: Sequence[tf.Tensor]
) -> list[tf.Tensor]:
    """Hessian of the mean loss times the tangents, by reverse mode twice.

    It is faster than forward mode over reverse mode, and allows loops.
    """
    with tf.GradientTape() as outer:
        outer.watch(bound)
        with tf.GradientTape() as inner:
            inner.watch(bound)
            loss = tf.reduce_mean(losses_of())
        product = _dot(dense(inner.gradient(loss, bound, unconnected_gradients="zero")), tangents)
    return dense(outer.gradient(product, bound, unconnected_gradients="zero"))


def dense(gradient: Sequence[Any]) -> list[tf.Tensor]:
    """A gradient whose parts are dense tensors. Gradients of embeddings may be sparse."""
    return [tf.convert_to_tensor(part) for part in gradient]


def _dot(left: Sequence[tf.Tensor], right: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.add_n([tf.reduce_sum(a * b) for a, b in zip(left, right, strict=True)])
