"""The arithmetic of the network on one flat vector, and its hand-derived gradient.

The vector holds each layer in turn: weight (in, out) in C order, bias, and scale and offset of its
batch normalisation. Batch normalisation follows PyTorch. A step normalises with the biased variance
of its batch. The running statistics average the unbiased variance.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.rules import Reals
from gexcore.errors import InvalidDataError
from gexcore_numpy.models import MLP, ActivationName, BatchNorm

EPS = 1e-5
MOMENTUM = 0.1


class Activation(NamedTuple):
    """An activation, which may use the memory of its argument.

    Both derivatives are functions of its output.

    A slope that is 0 or 1 may be false or true.
    """

    value: Callable[[Reals], Reals]
    slope: Callable[[Reals], NDArray[Any]]
    bend: Callable[[Reals], Reals]


ACTIVATIONS = {
    "relu": Activation(
        lambda u: np.maximum(u, np.zeros(u.shape[-1], u.dtype), out=u),
        lambda a: a > 0,
        np.zeros_like,
    ),
    "tanh": Activation(
        lambda u: np.tanh(u, out=u), lambda a: 1 - a * a, lambda a: -2 * a * (1 - a * a)
    ),
}


class Layer(NamedTuple):
    """Views into a flat vector: parameters, a gradient or a tangent.

    `scale` and `offset` are empty if the layer does not normalise.
    """

    weight: Reals
    bias: Reals
    scale: Reals
    offset: Reals


class Moments(NamedTuple):
    """Mean and variance of a hidden layer before normalisation, each of shape (width,)."""

    mean: Reals
    var: Reals


class Trace(NamedTuple):
    """Numbers of one layer's forward pass that derivatives need.

    Parameters
    ----------
    inputs, outputs : (b, in), (b, out)
    normalised : (b, out)
        Normalised values before scale and offset. They have no meaning if the layer does not
        normalise, and neither has `gain`.
    gain : (out,)
        One divided by the standard deviation.
    moments : Moments, optional
        Moments of the batch, with the unbiased variance, if the layer normalises in training mode.
    """

    inputs: Reals
    outputs: Reals
    normalised: Reals
    gain: Reals
    moments: Moments | None


@dataclass(frozen=True)
class Network:
    """The shape of an `MLP`, without its numbers."""

    sizes: tuple[int, ...]
    activation: ActivationName
    normalises: bool

    @classmethod
    def of(cls, model: MLP) -> Network:
        """The shape of a model."""
        return cls(model.sizes, model.activation, bool(model.batch_norm))

    def __str__(self) -> str:
        normalised = " and batch normalisation" if self.normalises else ""
        return f"an MLP of sizes {self.sizes} with {self.activation}{normalised}"

    @functools.cached_property
    def _ends(self) -> list[tuple[int, int, int, int]]:
        """Ends of the weight, bias, scale and offset of each layer in the flat vector."""
        ends, start = [], 0
        for depth, (fan_in, fan_out) in enumerate(pairwise(self.sizes), start=2):
            weight = start + fan_in * fan_out
            bias = weight + fan_out
            width = fan_out if self.normalises and depth < len(self.sizes) else 0
            start = bias + 2 * width
            ends.append((weight, bias, bias + width, start))
        return ends

    @property
    def size(self) -> int:
        """Number of parameters p."""
        return self._ends[-1][-1]

    @property
    def names(self) -> dict[str, int]:
        """Name and size of every parameter, in the order of the flat vector."""
        found, start = {}, 0
        for depth, ends in enumerate(self._ends):
            for kind, end in zip(Layer._fields, ends, strict=True):
                if end > start:
                    found[f"{kind}{depth}"] = end - start
                start = end
        return found

    def split(self, flat: NDArray[Any]) -> list[Layer]:
        """The layers' views into a flat vector of shape (p,)."""
        layers: list[Layer] = []
        start, nothing = 0, flat[:0]
        for width, (weight, bias, scale, offset) in zip(self.sizes, self._ends, strict=False):
            matrix = flat[start:weight].reshape(width, -1)
            norm = (flat[bias:scale], flat[scale:offset]) if offset > bias else (nothing, nothing)
            layers.append(Layer(matrix, flat[weight:bias], *norm))
            start = offset
        return layers

    def forward(
        self, layers: Sequence[Layer], x: Reals, statistics: Sequence[Moments] | None
    ) -> tuple[Reals, list[Trace]]:
        """Outputs of shape (b, k), and one trace per layer.

        Parameters
        ----------
        layers : list of Layer
        x : (b, d)
        statistics : sequence of Moments, or None
            Running statistics for evaluation mode. None normalises with statistics of the batch.
        """
        if self.normalises and statistics is None and len(x) < 2:
            msg = (
                "a training batch of 1 sample has no variance to normalise by; use batches of at "
                "least 2 samples"
            )
            raise InvalidDataError(msg)
        activate = ACTIVATIONS[self.activation].value
        traces: list[Trace] = []
        for depth, layer in enumerate(layers):
            inputs = x
            x = x @ layer.weight
            x += layer.bias
            normalised, gain, moments = x, layer.scale, None
            if layer.scale.size:
                if statistics is None:
                    mean, var = x.mean(axis=0), x.var(axis=0)
                    moments = Moments(mean, var * (len(x) / (len(x) - 1)))
                else:
                    mean, var = statistics[depth]
                gain = 1 / np.sqrt(var + EPS)
                normalised = (x - mean) * gain
                x = normalised * layer.scale + layer.offset
            if depth < len(layers) - 1:
                x = activate(x)
            traces.append(Trace(inputs, x, normalised, gain, moments))
        # samples last in memory, so that sums over the few outputs run along long rows
        return np.asfortranarray(x), traces

    def gradient(self, layers: Sequence[Layer], traces: Sequence[Trace], cotangent: Reals) -> Reals:
        """Gradient of shape (p,) in training mode, from the derivative (b, k) by the outputs."""
        flat = np.empty(self.size, cotangent.dtype)
        slope = ACTIVATIONS[self.activation].slope
        d = cotangent
        steps = list(zip(layers, traces, self.split(flat), strict=True))
        for depth in reversed(range(len(steps))):
            layer, trace, out = steps[depth]
            if depth < len(steps) - 1:
                d *= slope(trace.outputs)
            if layer.scale.size:
                np.add.reduce(d, axis=0, out=out.offset)
                np.add.reduce(d * trace.normalised, axis=0, out=out.scale)
                # the batch's mean and variance depend on every sample
                d = (trace.gain * layer.scale) * (
                    d - (out.offset + trace.normalised * out.scale) / len(d)
                )
            np.matmul(trace.inputs.T, d, out=out.weight)
            np.add.reduce(d, axis=0, out=out.bias)
            if depth:
                d = d @ layer.weight.T
        return flat


def flatten(model: MLP) -> Reals:
    """The model's parameters as one new vector of shape (p,)."""
    parts: list[Reals] = []
    norms = [*(model.batch_norm or ()), *([None] * len(model.weights))]
    for weight, bias, norm in zip(model.weights, model.biases, norms, strict=False):
        parts += [weight.ravel(), bias, *((norm.scale, norm.offset) if norm else ())]
    return np.concatenate(parts)


def running_statistics(model: MLP) -> tuple[Moments, ...]:
    """Copies of the model's running statistics, one per normalised layer."""
    return tuple(Moments(norm.mean.copy(), norm.var.copy()) for norm in model.batch_norm or ())


def batch_moments(traces: Sequence[Trace]) -> tuple[Moments, ...]:
    """The statistics of a training pass, one per normalised layer."""
    return tuple(trace.moments for trace in traces if trace.moments is not None)


def assemble(network: Network, flat: Reals, statistics: Sequence[Moments]) -> MLP:
    """The model with these parameters and running statistics, copied."""
    layers = network.split(flat.copy())
    norms = [
        BatchNorm(layer.scale, layer.offset, moments.mean.copy(), moments.var.copy())
        for layer, moments in zip(layers, statistics, strict=False)
    ]
    weights, biases = [layer.weight for layer in layers], [layer.bias for layer in layers]
    return MLP(weights, biases, network.activation, norms or None)
