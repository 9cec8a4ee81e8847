"""Serialisation: states as named arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.rules import Memory
from gexcore_numpy.network import Moments
from gexcore_numpy.state import NumpyState


def to_arrays(state: NumpyState) -> dict[str, NDArray[Any]]:
    """Copies of the parameters, the statistics of each layer, and the optimiser's memory."""
    arrays: dict[str, NDArray[Any]] = {
        "params": state.params.copy(),
        "steps": np.array(state.memory.steps),
    }
    for depth, moments in enumerate(state.statistics):
        arrays |= {f"mean/{depth}": moments.mean.copy(), f"var/{depth}": moments.var.copy()}
    return arrays | {f"memory/{i}": vector.copy() for i, vector in enumerate(state.memory.vectors)}


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> NumpyState:
    """The state that `to_arrays` wrote."""

    def numbered(kind: str) -> list[NDArray[Any]]:
        return [
            arrays[f"{kind}/{i}"]
            for i in range(sum(name.startswith(f"{kind}/") for name in arrays))
        ]

    statistics = tuple(
        Moments(mean, var) for mean, var in zip(numbered("mean"), numbered("var"), strict=True)
    )
    return NumpyState(
        arrays["params"], statistics, Memory(int(arrays["steps"]), tuple(numbered("memory")))
    )
