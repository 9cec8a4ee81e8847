"""Derivatives along directions of the trainable parameters; the functions named so are traced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from gexcore.backend.data import to_numpy
from gexcore.errors import InvalidDataError

LossesOf = Callable[[], tf.Tensor]
"""The losses of a batch, shape (b,), from the parameters that are differentiated by."""


def ravel(params: Sequence[tf.Tensor]) -> NDArray[Any]:
    """One vector of all parameters, shape (p,)."""
    return np.concatenate([p.numpy().reshape(-1) for p in params])


def size(param: tf.Tensor) -> int:
    """How many numbers the parameter holds."""
    return int(np.prod(param.shape))


def split(flat: Any, params: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
    """A vector of shape (p,) of any library, in the shapes and dtypes of the parameters.

    Raises
    ------
    InvalidDataError
        For another shape.
    """
    vector = to_numpy(flat)
    sizes = [size(p) for p in params]
    if vector.shape != (sum(sizes),):
        msg = (
            f"a vector over the parameters has shape ({sum(sizes)},) for this model, not "
            f"{vector.shape}; "
            "take one of the size that ravel gives"
        )
        raise InvalidDataError(msg)
    pieces = np.split(vector, np.cumsum(sizes)[:-1])
    # copied, as TensorFlow may share the memory of an array
    return tuple(
        tf.constant(piece.reshape(p.shape).astype(p.dtype.as_numpy_dtype))
        for piece, p in zip(pieces, params, strict=True)
    )


def jvp_forward(
    losses_of: LossesOf, bound: Sequence[Any], tangents: Sequence[tf.Tensor]
) -> tf.Tensor:
    """Directional derivatives (b,) in forward mode; in reverse mode where an operation has no
    forward mode.

    For tensors: through variables that a compiled function captures, forward mode finds nothing.
    """
    try:
        with tf.autodiff.ForwardAccumulator(list(bound), list(tangents)) as accumulator:
            losses = losses_of()
        return accumulator.jvp(losses, unconnected_gradients="zero")
    except (LookupError, TypeError):  # loops, and so recurrent layers
        return jvp_reverse(losses_of, bound, tangents)


def jvp_reverse(
    losses_of: LossesOf, bound: Sequence[Any], tangents: Sequence[tf.Tensor]
) -> tf.Tensor:
    """The same by reverse mode twice.

    The product with the transposed Jacobian is linear in its weights, and its derivative by them
    along the tangent is the product sought.
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

    Faster than forward mode over reverse mode, and possible for loops.
    """
    with tf.GradientTape() as outer:
        outer.watch(bound)
        with tf.GradientTape() as inner:
            inner.watch(bound)
            loss = tf.reduce_mean(losses_of())
        product = _dot(dense(inner.gradient(loss, bound, unconnected_gradients="zero")), tangents)
    return dense(outer.gradient(product, bound, unconnected_gradients="zero"))


def dense(gradient: Sequence[Any]) -> list[tf.Tensor]:
    """A gradient whose parts are tensors; those of embeddings may be sparse."""
    return [tf.convert_to_tensor(part) for part in gradient]


def _dot(left: Sequence[tf.Tensor], right: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.add_n([tf.reduce_sum(a * b) for a, b in zip(left, right, strict=True)])
