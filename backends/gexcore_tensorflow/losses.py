"""Losses: one number per sample; high = badly predicted."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from gexcore.backend import losses as shared
from gexcore.backend.losses import IGNORED
from gexcore.errors import InvalidModelError


class Loss(NamedTuple):
    """A loss in two parts, because compiled code cannot refuse values.

    Parameters
    ----------
    value : callable
        Traced function from model output and target to losses of shape (b,). A target with a
        forbidden value gives NaN.
    check : callable or None
        Function of a target on the host and the number of classes that refuses such values.
    parts : callable, optional
        Function as `value` that returns the losses of parts, shape (b, …); NaN where ignored.
    """

    value: Callable[[Any, Any], tf.Tensor]
    check: Callable[[NDArray[Any], int], None] | None
    parts: Callable[[Any, Any], tf.Tensor] | None = None


def cross_entropy(output: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Softmax cross-entropy.

    Parameters
    ----------
    output : tensor
        Scores of shape (b, K), of positions (b, …, K); or the softmax of them.
    target : tensor
        Labels 0..K-1 of shape (b,) or (b, …); or probabilities of shape (b, K). A sample's loss
        is the mean over its positions that are not -100.

    Raises
    ------
    InvalidModelError
        If the output has no scores of two classes or more.
    InvalidDataError
        If targets do not fit the scores in shape or kind.
    """
    losses, counted = _positions(output, target)
    if losses.shape.rank == 1:
        return losses
    positions = list(range(1, losses.shape.rank))
    count = tf.reduce_sum(tf.cast(counted, losses.dtype), positions)
    return tf.reduce_sum(losses, positions) / tf.maximum(count, 1)


def parts_of_cross_entropy(output: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Losses of tokens, pixels or samples, in the shape of their labels; NaN where ignored."""
    losses, counted = _positions(output, target)
    return losses if losses.shape.rank == 1 else tf.where(counted, losses, np.nan)


def _positions(output: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Cross-entropies of shape (b,) or (b, …), and where they are not ignored."""
    output, target = _tensors(scores_of(output), target, "cross_entropy")
    rank = output.shape.rank
    if rank < 2 or (rank == 2 and output.shape[1] == 1):
        raise shared.one_score(_shape(output))
    if target.shape.rank == rank and target.shape[-1] == 1:  # one label per row, as (b, 1)
        target = tf.squeeze(target, -1)
    one_hot = rank == 2 and target.shape.rank == 2 and target.shape[1] == output.shape[1]
    if target.dtype.is_floating or one_hot:
        losses = _soft_cross_entropy(output, target)
        return losses, tf.ones_like(losses, tf.bool)
    if not target.shape.is_compatible_with(output.shape[:-1]):
        raise shared.wrong_labels(_shape(target), _shape(output))
    target = tf.cast(target, tf.int64)
    labels = tf.clip_by_value(target, 0, tf.shape(output, tf.int64)[-1] - 1)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, output)
    counted = tf.not_equal(target, IGNORED)
    return tf.where(counted, tf.where(tf.equal(target, labels), losses, np.nan), 0), counted


def squared_error(output: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Squared differences, summed over the outputs of a sample, shape (b,)."""
    return _summed(parts_of_squared_error(output, target))


def parts_of_squared_error(output: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Squared difference of each output, shape (b, …)."""
    output, target, shape = _aligned(output, target, "squared_error")
    return tf.reshape(tf.square(output - target), shape)


def binary_cross_entropy(output: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Sigmoid cross-entropy of scores, or of their sigmoid, summed over outputs.

    Output and target have shape (b,) or (b, …). Targets are 0, 1 or a probability in between.
    """
    return _summed(parts_of_binary_cross_entropy(output, target))


def parts_of_binary_cross_entropy(output: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Sigmoid cross-entropy of each output, shape (b, …)."""
    output, target, shape = _aligned(_before("Sigmoid", output), target, "binary_cross_entropy")
    losses = tf.nn.sigmoid_cross_entropy_with_logits(target, output)
    return tf.reshape(tf.where((target >= 0) & (target <= 1), losses, np.nan), shape)


def check_scores(scores: Any) -> None:
    """Refuse several outputs, and probabilities whose scores are unknown.

    Raises
    ------
    InvalidModelError
    """
    if not isinstance(scores, np.ndarray):
        raise _several(scores, "cross_entropy")
    if (
        scores.shape[-1] > 1
        and (scores >= 0).all()
        and np.allclose(scores.sum(axis=-1), 1, atol=1e-4)
    ):
        msg = (
            "the model returns probabilities from a softmax that gexcore cannot see; return the "
            "scores that go into it, or end the model in a softmax layer outside of any tf.function"
        )
        raise InvalidModelError(msg)


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
        A callable takes the model's output and the target, and returns losses of shape (b,). It is
        traced. Losses of Keras, and functions whose first argument is ``y_true``, get the target
        first. A final softmax or sigmoid stays in their inputs, unlike for a named loss.

    Raises
    ------
    InvalidModelError
        If the name is unknown. Later, if a callable does not return one loss per sample.
    """
    named = shared.named(loss, LOSSES)
    if named is not None:
        return named
    own: Any = loss
    swapped = next(iter(inspect.signature(own).parameters), None) == "y_true"

    def checked(output: Any, target: Any) -> tf.Tensor:
        losses = own(target, output) if swapped else own(output, target)
        if not tf.is_tensor(losses) or losses.shape.rank != 1:
            several = tf.is_tensor(losses) and losses.shape.rank
            raise shared.wrong_losses(_shape(losses) if several else None, "b")
        return losses

    return Loss(checked, None)


def scores_of(output: Any) -> Any:
    """The model's output, or its entry "logits", without a final softmax."""
    return _before("Softmax", shared.scores_of(output))


def full(tensor: tf.Tensor) -> tf.Tensor:
    """A tensor in single precision at least."""
    # three digits cannot rank samples
    return tf.cast(tensor, tf.float32) if tensor.dtype in (tf.float16, tf.bfloat16) else tensor


def _before(activation: str, output: Any) -> Any:
    # the loss from scores is exact, from rounded probabilities it is not
    if not tf.is_tensor(output):
        return output
    operation = output.op
    while operation.type in ("Identity", "Cast"):
        operation = operation.inputs[0].op
    return operation.inputs[0] if operation.type == activation else output


def _soft_cross_entropy(output: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    if output.shape.rank != 2 or not target.shape.is_compatible_with(output.shape):
        raise shared.wrong_probabilities(target.dtype.name, _shape(target), _shape(output))
    # TensorFlow's own op needs rows that sum to one, and relabelled rows need not
    return -tf.reduce_sum(tf.cast(target, output.dtype) * tf.nn.log_softmax(output), axis=1)


def _summed(parts: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.reshape(parts, [tf.shape(parts)[0], -1]), 1)


def _aligned(output: Any, target: Any, name: str) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Both of shape (b, k), and the shape of the target with two dimensions or more."""
    output, target = _tensors(output, target, name)
    # (b, 1) against (b,) is one output; broadcasting would make b x b outputs
    sizes = [[d for d in tensor.shape[1:] if d != 1] for tensor in (output, target)]
    if not target.shape.rank or sizes[0] != sizes[1]:
        raise shared.wrong_targets(name, _shape(target), _shape(output))
    rows = [tf.shape(output)[0], -1]
    shape = tf.shape(target) if target.shape.rank > 1 else tf.constant([-1, 1])
    return tf.reshape(output, rows), tf.cast(tf.reshape(target, rows), output.dtype), shape


def _tensors(output: Any, target: Any, name: str) -> tuple[tf.Tensor, tf.Tensor]:
    if not tf.is_tensor(output):
        raise _several(output, name)
    if not tf.is_tensor(target) or not (
        target.dtype.is_floating or target.dtype.is_integer or target.dtype.is_bool
    ):
        found = target.dtype.name if tf.is_tensor(target) else type(target).__name__
        raise shared.no_targets(found, name)
    return full(output), target


def _several(output: Any, name: str) -> InvalidModelError:
    """The refusal of a model with several outputs."""
    if not isinstance(output, list | tuple | dict):
        return shared.no_scores(output, name)
    return InvalidModelError(
        f"the model has {len(output)} outputs, and {name} needs one; give "
        "keras.Model(model.inputs, model.outputs[0]), or loss= a function of the outputs"
    )


def _shape(tensor: tf.Tensor) -> str:
    sizes = ["b" if d is None else str(d) for d in tensor.shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
