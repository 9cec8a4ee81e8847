"""Datasets of tf.data and Grain, for a model of any framework."""

from __future__ import annotations

import inspect
from typing import Any

from gexcore.backend.lists import columns_of_list
from gexcore.errors import InvalidDataError

GRAIN_ORDER = ("Shuffle", "Repeat", "Mixed", "Interleave")
"""Parts of the names of Grain's datasets that change the order or the number of samples."""


def columns_of_stream(data: Any) -> Any:
    """The columns of a ``tf.data.Dataset``, or of a batched ``grain.MapDataset``; else None.

    Raises
    ------
    InvalidDataError
        If positions in the dataset are not those of the samples.
    """
    if hasattr(data, "element_spec") and hasattr(data, "as_numpy_iterator"):
        if int(data.cardinality()) < 0 or _shuffles(data):
            raise _reordered("tf.data.Dataset")
        return columns_of_list(list(data.as_numpy_iterator()))
    if type(data).__module__.partition(".")[0] != "grain" or not hasattr(data, "parents"):
        return None
    names = _names(data)
    if any(part in name for part in GRAIN_ORDER for name in names):
        raise _reordered("grain.MapDataset")
    if not hasattr(data, "__len__") or not any("Batch" in name for name in names):
        return None
    return columns_of_list([data[position] for position in range(len(data))])


def batches_by_size(data: Any) -> bool:
    """Whether the `batch` of a dataset takes a size, as in Grain, and not positions."""
    try:
        parameters = inspect.signature(data.batch).parameters
    except (TypeError, ValueError):
        return False
    return "batch_size" in parameters


def _reordered(name: str) -> InvalidDataError:
    return InvalidDataError(
        f"the {name} is shuffled, or does not say that it ends, so position i is not "
        "your sample i; leave shuffle() and repeat() out"
    )


def _shuffles(data: Any) -> bool:
    return type(data).__name__ == "_ShuffleDataset" or any(map(_shuffles, data._inputs()))


def _names(data: Any) -> set[str]:
    """Names of the classes of a dataset and of all that it is made of."""
    found = {type(data).__name__}
    for parent in data.parents:
        found |= _names(parent)
    return found
