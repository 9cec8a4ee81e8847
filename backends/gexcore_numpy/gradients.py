"""The gradient of every sample's loss, in evaluation mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gexcore.backend.rules import Reals
from gexcore_numpy.network import ACTIVATIONS, Layer, Network, Trace


class Signal(NamedTuple):
    """Derivatives of losses by a layer's output, before and after batch normalisation.

    Parameters
    ----------
    linear, normalised : (b, out)
        Derivatives, which are equal if the layer does not normalise.
    """

    linear: Reals
    normalised: Reals


def signals(
    network: Network, layers: Sequence[Layer], traces: Sequence[Trace], cotangent: Reals
) -> list[Signal]:
    """One signal per layer, from the derivative (b, k) of the losses by the outputs."""
    slope = ACTIVATIONS[network.activation].slope
    found: list[Signal] = []
    d = cotangent
    for depth in reversed(range(len(layers))):
        layer, trace = layers[depth], traces[depth]
        if depth < len(layers) - 1:
            d = d * slope(trace.outputs)
        linear = d * (trace.gain * layer.scale) if layer.scale.size else d
        found.append(Signal(linear, d))
        d = linear @ layer.weight.T
    return found[::-1]


def of_samples(layers: Sequence[Layer], traces: Sequence[Trace], found: Sequence[Signal]) -> Reals:
    """Gradients of every sample's loss, shape (b, p)."""
    parts: list[Reals] = []
    for layer, trace, (linear, normalised) in zip(layers, traces, found, strict=True):
        weight = trace.inputs[:, :, None] * linear[:, None, :]
        parts += [weight.reshape(len(linear), -1), linear]
        if layer.scale.size:
            parts += [normalised * trace.normalised, normalised]
    return np.concatenate(parts, axis=1)
