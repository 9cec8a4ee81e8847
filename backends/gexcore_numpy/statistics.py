"""Gradients of samples and Kronecker factors of layers, in evaluation mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gexcore.backend.kronecker import KroneckerBlock
from gexcore.backend.protocols import Indices
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


def sample_gradients(
    layers: Sequence[Layer], traces: Sequence[Trace], found: Sequence[Signal]
) -> Reals:
    """Gradients of every sample's loss, shape (b, p)."""
    parts: list[Reals] = []
    for layer, trace, (linear, normalised) in zip(layers, traces, found, strict=True):
        weight = trace.inputs[:, :, None] * linear[:, None, :]
        parts += [weight.reshape(len(linear), -1), linear]
        if layer.scale.size:
            parts += [normalised * trace.normalised, normalised]
    return np.concatenate(parts, axis=1)


def kronecker(
    network: Network, traces: Sequence[Trace], found: Sequence[Signal], chosen: Indices | slice
) -> list[KroneckerBlock]:
    """One block for every layer whose weight is among the chosen parameters.

    Parameters
    ----------
    network : Network
    traces : sequence of Trace
    found : sequence of Signal
    chosen : integer array or slice
        Positions in the full vector, in the order of the flat vector.
    """
    place = np.full(network.size, -1)
    place[chosen] = np.arange(place[chosen].size)
    blocks = []
    for depth, (where, trace, (linear, _)) in enumerate(
        zip(network.split(place), traces, found, strict=True)
    ):
        if where.weight[0, 0] < 0:
            continue
        inputs, positions = trace.inputs, where.weight.T
        if where.bias[0] >= 0:
            inputs = np.column_stack([inputs, np.ones_like(inputs[:, :1])])
            positions = np.column_stack([positions, where.bias])
        factors = (inputs.T @ inputs / len(inputs), linear.T @ linear / len(inputs))
        blocks.append(KroneckerBlock(f"weight{depth}", np.asarray(positions, np.intp), *factors))
    return blocks
