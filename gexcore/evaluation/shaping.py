"""Batches without the entries that a model does not take."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import numpy as np

from gexcore.backend.data import TARGET_KEYS
from gexcore.backend.protocols import Backend, Dataset
from gexcore.backend.rows import WEIGHTS, ThroughDataset
from gexcore.errors import GexWarning


def without_weights(data: Any, most: int | None) -> Any:
    """The tuple (x, y) of (x, y, weights) where a model takes one input."""
    if most != 1 or not isinstance(data, tuple) or len(data) != 3 or not _one_per_sample(data):
        return data
    warnings.warn(WEIGHTS, GexWarning, stacklevel=2)
    return data[:2]


def shape_of(data: Dataset[Any], engine: Backend[Any, Any]) -> Callable[[Any], Any] | None:
    """The function from a batch to one without weights, and without entries of no use.

    None where the model takes all. A warning tells what is left out.
    """
    most: int | None = getattr(engine, "most_inputs", None)
    names: Collection[str] | None = getattr(engine, "input_names", None)
    if most != 1 and not names:
        return None
    batch = data.batch(np.arange(min(len(data), 2)))
    if most == 1 and isinstance(batch, tuple | list) and len(batch) == 3 and _one_per_sample(batch):
        warnings.warn(WEIGHTS, GexWarning, stacklevel=2)
        return _first_two
    if not names or not isinstance(batch, Mapping):
        return None
    target = next((key for key in TARGET_KEYS if key in batch), None)
    inputs = [name for name in batch if name != target]
    extra = [name for name in inputs if name not in names]
    if not extra or len(extra) == len(inputs):
        return None
    warnings.warn(
        f"entries of the data that the model does not take are left out: {', '.join(extra)}",
        GexWarning,
        stacklevel=2,
    )
    return partial(_without, tuple(extra))


def shaped(data: Dataset[Any], shape: Callable[[Any], Any] | None) -> Dataset[Any]:
    """The dataset through the function of `shape_of`."""
    return data if shape is None else ThroughDataset(data, shape)


def _one_per_sample(batch: Any) -> bool:
    """Whether the last column has one number per sample."""
    shape = np.shape(batch[-1])
    return len(shape) == 1 or shape[1:] == (1,)


def _first_two(batch: Any) -> Any:
    return tuple(batch[:2])


def _without(extra: Collection[str], batch: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in batch.items() if name not in extra}
