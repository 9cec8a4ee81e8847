"""Moving statistics that must follow the parameters."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from gexcore_tensorflow.models import KerasNetwork
from gexcore_tensorflow.network import Network

_LOCK = threading.Lock()


def normalising(network: Network) -> list[Any]:
    """The BatchNormalization layers whose statistics training moves; a frozen layer keeps its own."""
    if not isinstance(network, KerasNetwork):
        return []
    layers = network.model._flatten_layers()
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]


def batch_statistics(network: Any, layers: Sequence[Any], *args: Any) -> dict[int, tf.Tensor]:
    """Mean and unbiased variance of what reaches each layer, by the position of its buffer; traced.

    The unbiased one is what every backend of gexcore estimates, so that they agree; Keras' own
    moving average is of the biased one. No other layer is in training mode.

    Parameters
    ----------
    network : KerasNetwork
    layers : list
        From `normalising`.
    *args : Any
        Of a call of `network`.
    """
    positions = {id(v): number for number, v in enumerate(network.stored)}
    seen: dict[int, list[tf.Tensor]] = {}

    def record(layer: Any, inputs: tf.Tensor, mask: Any) -> None:
        for variable, moment in zip(
            (layer.moving_mean, layer.moving_variance), _moments(layer, inputs, mask), strict=True
        ):
            seen.setdefault(positions[id(variable)], []).append(tf.cast(moment, variable.dtype))

    with _watched(layers, record):
        network(*args, training=False)
    # a layer may be used twice in one pass
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


@contextmanager
def _watched(layers: Sequence[Any], record: Callable[[Any, tf.Tensor, Any], None]) -> Iterator[None]:
    """Within the block these layers are in training mode and tell what reaches them, in this thread only."""
    thread = threading.get_ident()

    def standing_in(call: Callable[..., Any], layer: Any) -> Callable[..., Any]:
        def watched(inputs: tf.Tensor, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != thread:
                return call(inputs, *args, **kwargs)
            record(layer, inputs, kwargs.get("mask"))
            return call(inputs, *args, **{**kwargs, "training": True})

        return watched

    with _LOCK:
        # on the instance, past the tracking of attributes: nothing of it is left afterwards
        before = [vars(layer).get("call") for layer in layers]
        for layer in layers:
            vars(layer)["call"] = standing_in(layer.call, layer)
        try:
            yield
        finally:
            for layer, call in zip(layers, before, strict=True):
                if call is None:
                    del vars(layer)["call"]
                else:
                    vars(layer)["call"] = call
