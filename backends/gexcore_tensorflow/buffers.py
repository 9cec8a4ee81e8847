"""Moving statistics, which must follow the parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from gexcore_tensorflow.network import Network
from gexcore_tensorflow.watching import layers_of, standing_in


def normalising(network: Network) -> list[Any]:
    """The BatchNormalization layers that training changes. A frozen layer is left out."""
    return [
        layer
        for layer in layers_of(network)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]


def size_of(network: Network) -> int:
    """Number of parameters, trained or frozen, without the statistics of all these layers."""
    layers = [x for x in layers_of(network) if isinstance(x, keras.layers.BatchNormalization)]
    moving = {id(v) for layer in layers for v in (layer.moving_mean, layer.moving_variance)}
    frozen = (
        value
        for variable, value in zip(network.stored, network.buffers, strict=True)
        if id(variable) not in moving and value.dtype.is_floating
    )
    return sum(math.prod(value.shape) for value in (*network.params, *frozen))


def batch_statistics(network: Any, layers: Sequence[Any], *args: Any) -> dict[int, tf.Tensor]:
    """Mean and unbiased variance of each layer's inputs, by position of the buffer; traced.

    All backends of gexcore use the unbiased variance, so that they agree. The moving average of
    Keras uses the biased one. No other layer is in training mode.

    Parameters
    ----------
    network : KerasNetwork
    layers : list
        Layers from `normalising`.
    *args : Any
        Arguments of a call of `network`.
    """
    positions = {id(v): number for number, v in enumerate(network.stored)}
    seen: dict[int, list[tf.Tensor]] = {}

    def see(
        layer: Any, original: Callable[..., Any], inputs: tf.Tensor, *args: Any, **kwargs: Any
    ) -> Any:
        moments = _moments(layer, inputs, kwargs.get("mask"))
        for variable, moment in zip(
            (layer.moving_mean, layer.moving_variance), moments, strict=True
        ):
            seen.setdefault(positions[id(variable)], []).append(tf.cast(moment, variable.dtype))
        return original(inputs, *args, **{**kwargs, "training": True})

    with standing_in(layers, "call", see):
        network(*args, training=False)
    # one pass may use a layer twice
    return {number: tf.add_n(moments) / len(moments) for number, moments in seen.items()}


def _moments(layer: Any, inputs: tf.Tensor, mask: Any) -> tuple[tf.Tensor, tf.Tensor]:
    x = tf.cast(inputs, layer.moving_mean.dtype)
    axes = [axis for axis in range(x.shape.rank) if axis != layer.axis % x.shape.rank]
    if mask is None:
        mean, variance = tf.nn.moments(x, axes)
        n = tf.cast(tf.size(x) / x.shape[layer.axis], x.dtype)
    else:
        weights = tf.cast(mask[..., tf.newaxis], x.dtype)
        mean, variance = tf.nn.weighted_moments(x, axes, weights)
        n = tf.reduce_sum(weights)
    return mean, variance * n / tf.maximum(n - 1, 1)
