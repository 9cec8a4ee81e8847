"""Features: inputs of the last Dense layer of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from numpy.typing import NDArray

from gexcore.errors import InvalidModelError
from gexcore_tensorflow.losses import full
from gexcore_tensorflow.network import Network
from gexcore_tensorflow.watching import layers_of, standing_in


def dense_layers(network: Network) -> list[Any]:
    """The Dense layers anywhere in the model."""
    return [layer for layer in layers_of(network) if isinstance(layer, keras.layers.Dense)]


def last_inputs(
    layers: Sequence[Any], losses_of: Callable[..., tf.Tensor], *values: Any
) -> tuple[tf.Tensor, tf.Tensor]:
    """Inputs of the last of these layers that runs, shape (b, h), and b; traced.

    Parameters
    ----------
    layers : list
        Layers from `dense_layers`.
    losses_of : callable
        ``losses_of(*values)`` runs the model on a batch and returns losses of shape (b,).
    *values : Any

    Raises
    ------
    InvalidModelError
        If none of the layers runs.
    """
    last: list[tf.Tensor] = []
    graph = tf.compat.v1.get_default_graph()

    def see(
        layer: Any, original: Callable[..., Any], inputs: tf.Tensor, *args: Any, **kwargs: Any
    ) -> Any:
        # values inside of a loop are not available outside
        if tf.compat.v1.get_default_graph() is graph:
            last[:] = [inputs]
        return original(inputs, *args, **kwargs)

    with standing_in(layers, "call", see):
        losses = losses_of(*values)
    if not last:
        msg = (
            "none of the model's Dense layers runs by being called outside of a loop, so it has no "
            "features; call the last one so, or choose a method that does without features"
        )
        raise InvalidModelError(msg)
    (inputs,) = last
    return full(tf.reshape(inputs, [tf.shape(inputs)[0], -1])), tf.shape(losses)[0]


def checked_features(features: NDArray[Any], b: int) -> NDArray[Any]:
    """The features, refused unless they have one row per sample.

    Raises
    ------
    InvalidModelError
        If they do not have one row per sample.
    """
    if len(features) != b:
        msg = (
            f"the input of the model's last Dense layer has {len(features)} rows for {b} samples; "
            "reshape it to one row or block of rows per sample, or choose a method that does "
            "without features"
        )
        raise InvalidModelError(msg)
    return features
