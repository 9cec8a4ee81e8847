"""Serialisation of networks and linear models, whose steps change only numbers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.rules import Memory
from gexcore_sklearn.optimizers import SklearnState

WEIGHTS = ("coefs_", "intercepts_")


def to_arrays(state: SklearnState) -> dict[str, NDArray[Any]]:
    """Every array and number of the estimator's attributes, and the optimiser's memory."""
    arrays = {
        name: np.array(value) for name, value in vars(state.estimator).items() if _is_number(value)
    }
    for name in WEIGHTS:
        arrays |= {
            f"{name}/{i}": array.copy()
            for i, array in enumerate(getattr(state.estimator, name, ()))
        }
    for i, memory in enumerate(state.memory):
        arrays[f"steps/{i}"] = np.array(memory.steps)
        arrays |= {f"memory/{i}/{j}": vector.copy() for j, vector in enumerate(memory.vectors)}
    return arrays


def from_arrays(arrays: Mapping[str, NDArray[Any]], initial: SklearnState) -> SklearnState:
    """The state, on a copy of the estimator of `initial`."""
    estimator = copy.deepcopy(initial.estimator)
    for name, array in arrays.items():
        if "/" not in name:
            setattr(
                estimator,
                name,
                array if isinstance(getattr(estimator, name, array), np.ndarray) else array.item(),
            )
    for name in WEIGHTS:
        if hasattr(estimator, name):
            setattr(estimator, name, _numbered(arrays, name))
    steps = _numbered(arrays, "steps")
    memory = tuple(
        Memory(int(count), tuple(_numbered(arrays, f"memory/{i}"))) for i, count in enumerate(steps)
    )
    return SklearnState(estimator, memory)


def _is_number(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _numbered(arrays: Mapping[str, NDArray[Any]], kind: str) -> list[NDArray[Any]]:
    depth = kind.count("/") + 1
    count = sum(name.startswith(f"{kind}/") and name.count("/") == depth for name in arrays)
    return [arrays[f"{kind}/{i}"] for i in range(count)]
