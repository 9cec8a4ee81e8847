"""Directional derivatives and Hessian products in evaluation mode, by Pearlmutter's R-operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gexcore.backend.rules import Reals
from gexcore_numpy.network import ACTIVATIONS, Layer, Network, Trace


class Push(NamedTuple):
    """One layer, its direction, and the derivatives along the direction.

    Parameters
    ----------
    layer, along : Layer
    trace : Trace
    inputs : (b, in)
    normalised : (b, out)
    activated : (b, out)
        Derivative of the input of the activation.
    """

    layer: Layer
    along: Layer
    trace: Trace
    inputs: Reals
    normalised: Reals
    activated: Reals


def push_forward(
    network: Network, layers: Sequence[Layer], direction: Sequence[Layer], traces: Sequence[Trace]
) -> tuple[Reals, list[Push]]:
    """Derivative of the outputs along `direction`, shape (b, k), and one `Push` per layer."""
    slope = ACTIVATIONS[network.activation].slope
    moved = np.zeros_like(traces[0].inputs)
    pushes: list[Push] = []
    for depth, (layer, along, trace) in enumerate(zip(layers, direction, traces, strict=True)):
        inputs = moved
        moved = trace.inputs @ along.weight + along.bias
        if depth:
            moved += inputs @ layer.weight
        normalised = moved
        if layer.scale.size:
            normalised = moved * trace.gain
            moved = normalised * layer.scale + trace.normalised * along.scale + along.offset
        pushes.append(Push(layer, along, trace, inputs, normalised, moved))
        if depth < len(layers) - 1:
            moved = moved * slope(trace.outputs)
    return moved, pushes


def pull_back(network: Network, pushes: Sequence[Push], cotangent: Reals, turned: Reals) -> Reals:
    """Derivative of the gradient along the direction of `pushes`, shape (p,).

    Parameters
    ----------
    network : Network
    pushes : sequence of Push
    cotangent : (b, k)
        Derivative of the scalar by the outputs.
    turned : (b, k)
        Derivative of the cotangent along the direction.
    """
    flat = np.empty(network.size, cotangent.dtype)
    _, slope, bend = ACTIVATIONS[network.activation]
    d, rd = cotangent, turned
    steps = list(zip(pushes, network.split(flat), strict=True))
    for depth in reversed(range(len(steps))):
        (layer, along, trace, inputs, normalised, activated), (weight, bias, scale, offset) = steps[
            depth
        ]
        if depth < len(steps) - 1:
            s = slope(trace.outputs)
            d, rd = d * s, rd * s + d * bend(trace.outputs) * activated
        if scale.size:
            np.sum(rd, axis=0, out=offset)
            np.sum(rd * trace.normalised + d * normalised, axis=0, out=scale)
            d, rd = (
                d * (layer.scale * trace.gain),
                (rd * layer.scale + d * along.scale) * trace.gain,
            )
        np.matmul(trace.inputs.T, rd, out=weight)
        if depth:
            weight += inputs.T @ d
        np.sum(rd, axis=0, out=bias)
        d, rd = d @ layer.weight.T, rd @ layer.weight.T + d @ along.weight.T
    return flat
