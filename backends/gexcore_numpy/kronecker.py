"""Kronecker-factored Fisher statistics of the layers, in evaluation mode."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gexcore.backend.kronecker import KroneckerBlock
from gexcore.backend.protocols import Indices
from gexcore_numpy.gradients import Signal
from gexcore_numpy.network import Network, Trace


def blocks(
    network: Network, traces: Sequence[Trace], signals: Sequence[Signal], chosen: Indices | slice
) -> list[KroneckerBlock]:
    """One block for every layer whose weight is among the chosen parameters.

    Parameters
    ----------
    network : Network
    traces : sequence of Trace
    signals : sequence of Signal
    chosen : integer array or slice
        Positions in the full vector, in the order of the flat vector.
    """
    place = np.full(network.size, -1)
    place[chosen] = np.arange(place[chosen].size)
    found = []
    for depth, (where, trace, (linear, _)) in enumerate(
        zip(network.split(place), traces, signals, strict=True)
    ):
        if where.weight[0, 0] < 0:
            continue
        inputs, positions = trace.inputs, where.weight.T
        if where.bias[0] >= 0:
            inputs = np.column_stack([inputs, np.ones_like(inputs[:, :1])])
            positions = np.column_stack([positions, where.bias])
        factors = (inputs.T @ inputs / len(inputs), linear.T @ linear / len(inputs))
        found.append(KroneckerBlock(f"weight{depth}", np.asarray(positions, np.intp), *factors))
    return found
