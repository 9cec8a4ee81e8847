"""Serialisation: states as named arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.rules import Memory, Reals
from gexcore_numpy.network import Moments


class Parts(NamedTuple):
    """The parts of a state."""

    params: Reals
    statistics: tuple[Moments, ...]
    memory: Memory


def to_arrays(parts: Parts) -> dict[str, NDArray[Any]]:
    """Copies of the parameters, the statistics of each layer, and the optimiser's memory."""
    arrays: dict[str, NDArray[Any]] = {
        "params": parts.params.copy(),
        "steps": np.array(parts.memory.steps),
    }
    for depth, moments in enumerate(parts.statistics):
        arrays |= {f"mean/{depth}": moments.mean.copy(), f"var/{depth}": moments.var.copy()}
    return arrays | {f"memory/{i}": vector.copy() for i, vector in enumerate(parts.memory.vectors)}


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Parts:
    """The parts that `to_arrays` wrote."""

    def numbered(kind: str) -> list[NDArray[Any]]:
        return [
            arrays[f"{kind}/{i}"]
            for i in range(sum(name.startswith(f"{kind}/") for name in arrays))
        ]

    statistics = tuple(
        Moments(mean, var) for mean, var in zip(numbered("mean"), numbered("var"), strict=True)
    )
    return Parts(
        arrays["params"], statistics, Memory(int(arrays["steps"]), tuple(numbered("memory")))
    )
