"""States: a vector, running statistics and the memory of the optimiser."""

from __future__ import annotations

from typing import NamedTuple

from gexcore.backend.rules import Memory, Reals
from gexcore_numpy.network import Layer, Moments


class NumpyState(NamedTuple):
    """All parameters, running statistics of normalised layers, and the optimiser's memory."""

    params: Reals
    statistics: tuple[Moments, ...] = ()
    memory: Memory = Memory()


Stacked = list[tuple[list[Layer], tuple[Moments, ...]]]
"""Layers and running statistics of each state."""


def copied(state: NumpyState) -> NumpyState:
    """A state with its own parameters and memory. Statistics are shared: no step writes to them."""
    memory = Memory(state.memory.steps, tuple(v.copy() for v in state.memory.vectors))
    return NumpyState(state.params.copy(), state.statistics, memory)
