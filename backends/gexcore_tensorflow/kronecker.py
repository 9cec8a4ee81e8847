"""Kronecker-factored Fisher statistics of dense and convolutional layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from gexcore.backend.kronecker import KroneckerBlock
from gexcore_tensorflow import curvature, vectors
from gexcore_tensorflow.losses import full
from gexcore_tensorflow.network import Network
from gexcore_tensorflow.watching import layers_of, standing_in


class Weights(NamedTuple):
    """The places of a layer's weights in the flat vector.

    Parameters
    ----------
    layer : keras.layers.Layer
    name : str
        Name of its kernel.
    positions : integer array, shape (o, i)
        Positions in the flat vector. A trained bias is in the last column.
    has_bias : bool
        Whether the bias is trained.
    """

    layer: Any
    name: str
    positions: NDArray[np.intp]
    has_bias: bool


class Moments(NamedTuple):
    """The statistics of a layer from one pass.

    Parameters
    ----------
    inputs, outputs : tensor
        Second moments of a `KroneckerBlock`.
    places : tensor
        Number of applications of the layer, over all samples.
    """

    inputs: tf.Tensor
    outputs: tf.Tensor
    places: tf.Tensor


def weights_of(network: Network) -> list[Weights]:
    """The layers that have a block, in the order of the flat vector.

    These are Dense, and Conv1D and Conv2D with one group. They have the forward pass of their class
    and their own trainable kernel. Layers with tied kernels are left out.
    """
    names, where, end = {}, {}, 0
    for name, variable, p in zip(network.names, network.trainable, network.params, strict=True):
        start, end = end, end + vectors.size(p)
        names[id(variable)], where[id(variable)] = name, np.arange(start, end)
    layers = layers_of(network)
    owners = Counter(
        id(v)
        for layer in layers
        for v in (*layer._trainable_variables, *layer._non_trainable_variables)
    )
    found = []
    for layer in filter(_is_plain, layers):
        kernel = layer.kernel
        own = [v for v in (kernel, layer.bias) if id(v) in where]
        if not own or own[0] is not kernel or any(owners[id(v)] > 1 for v in own):
            continue
        columns = [where[id(v)].reshape(-1, kernel.shape[-1]).T for v in own]
        found.append(
            Weights(layer, names[id(kernel)], np.concatenate(columns, axis=1), len(own) == 2)
        )
    return sorted(found, key=lambda weights: int(weights.positions[0, 0]))


def moments(
    weights: Sequence[Weights], losses_of: Callable[..., tf.Tensor], *values: Any
) -> dict[int, Moments]:
    """Statistics of every layer that is called exactly once, by position in `weights`; traced.

    Parameters
    ----------
    weights : sequence of Weights
    losses_of : callable
        ``losses_of(*values)`` runs the model on a batch and returns losses of shape (b,).
    *values : Any
    """
    layers = [part.layer for part in weights]
    calls: Counter[int] = Counter()
    entered: dict[int, tf.Tensor] = {}
    left: dict[int, tf.Tensor] = {}
    graph = tf.compat.v1.get_default_graph()

    def enter(
        layer: Any, original: Callable[..., Any], inputs: tf.Tensor, *args: Any, **kwargs: Any
    ) -> Any:
        calls[id(layer)] += 1
        entered[id(layer)] = inputs
        return original(inputs, *args, **kwargs)

    def leave(layer: Any, original: Callable[..., Any], output: tf.Tensor) -> Any:
        # no layers in loops, and none that do not depend on the batch
        if tf.compat.v1.get_default_graph() is graph and output.shape[0] is None:
            tape.watch(output)
            left[id(layer)] = output
        return original(output)

    with (
        tf.GradientTape(watch_accessed_variables=False) as tape,
        standing_in(layers, "call", enter),
        standing_in(layers, "activation", leave),  # its gradient is that of the weights' output
    ):
        losses = losses_of(*values)
    once = [
        number for number, layer in enumerate(layers) if calls[id(layer)] == 1 and id(layer) in left
    ]
    outputs = [left[id(layers[number])] for number in once]
    grads = curvature.dense(tape.gradient(losses, outputs, unconnected_gradients="zero"))
    b = tf.shape(losses)[0]
    found = {}
    for number, grad in zip(once, grads, strict=True):
        layer = layers[number]
        inputs = _second_moment(layer, entered[id(layer)], has_bias=weights[number].has_bias)
        signals = _rows(full(_channels_last(layer, grad)))
        places = tf.shape(signals)[0]
        found[number] = Moments(
            inputs / tf.cast(b, inputs.dtype),
            _gram(signals) / tf.cast(places, signals.dtype),
            places,
        )
    return found


def blocks(
    weights: Sequence[Weights], found: Mapping[int, Moments], b: int
) -> list[KroneckerBlock]:
    """One block per layer that sees each of the b samples equally often."""
    return [
        KroneckerBlock(
            weights[number].name, weights[number].positions, inputs.numpy(), outputs.numpy()
        )
        for number, (inputs, outputs, places) in found.items()
        if places.numpy() % b == 0
    ]


def _is_plain(layer: Any) -> bool:
    for base in (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D):
        if isinstance(layer, base):
            same = all(
                getattr(type(layer), m, None) is getattr(base, m, None)
                for m in ("call", "convolution_op")
            )
            return bool(layer.built and same and getattr(layer, "groups", 1) == 1)
    return False


def _second_moment(layer: Any, inputs: tf.Tensor, *, has_bias: bool) -> tf.Tensor:
    """Sum of a aᵀ over all places, where a is the input of the weights of one output."""

    def moment(rows: tf.Tensor) -> tf.Tensor:
        return _gram(tf.pad(rows, [[0, 0], [0, 1]], constant_values=1) if has_bias else rows)

    inputs = full(inputs)
    if isinstance(layer, keras.layers.Dense):
        return moment(_rows(inputs))
    images, geometry = _unfolding(layer, _channels_last(layer, inputs))
    size = int(np.prod(layer.kernel.shape[:-1])) + has_bias
    # image by image, because patches are many times as large
    return tf.foldl(
        lambda total, image: (
            total + moment(_rows(tf.image.extract_patches(image[tf.newaxis], **geometry)))
        ),
        images,
        initializer=tf.zeros((size, size), inputs.dtype),
    )


def _unfolding(layer: Any, inputs: tf.Tensor) -> tuple[tf.Tensor, dict[str, Any]]:
    """Images (b, h, w, c), and the function that takes patches of (h, w, c)."""
    kernel, strides, rates, padding = (
        layer.kernel_size,
        layer.strides,
        layer.dilation_rate,
        layer.padding,
    )
    if padding == "causal":
        inputs = tf.pad(inputs, [[0, 0], [rates[0] * (kernel[0] - 1), 0], [0, 0]])
        padding = "valid"
    if len(kernel) == 1:
        inputs, kernel, strides, rates = (
            inputs[:, tf.newaxis],
            (1, *kernel),
            (1, *strides),
            (1, *rates),
        )
    sizes = {
        name: [1, *pair, 1]
        for name, pair in (("sizes", kernel), ("strides", strides), ("rates", rates))
    }
    return inputs, {**sizes, "padding": padding.upper()}


def _channels_last(layer: Any, tensor: tf.Tensor) -> tf.Tensor:
    if getattr(layer, "data_format", "channels_last") == "channels_last":
        return tensor
    rank = tensor.shape.rank
    return tf.transpose(tensor, [0, *range(2, rank), 1])


def _rows(tensor: tf.Tensor) -> tf.Tensor:
    return tf.reshape(tensor, [-1, tensor.shape[-1]])


def _gram(rows: tf.Tensor) -> tf.Tensor:
    return tf.matmul(rows, rows, transpose_a=True)
