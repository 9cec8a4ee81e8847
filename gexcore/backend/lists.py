"""Lists of samples or batches as columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.arrays import to_numpy
from gexcore.backend.rows import uneven


def columns_of_list(data: list[Any]) -> Any:
    """A list of samples (x, y), or of batches, as columns; another list as it is.

    Raises
    ------
    InvalidDataError
        If samples have unequal shapes.
    """
    first = data[0] if data else None
    if isinstance(first, Mapping) and all(isinstance(item, Mapping) for item in data):
        join = np.concatenate if _ndim(next(iter(first.values()))) and _even(first) else np.stack
        return {name: _joined(join, [item[name] for item in data], name) for name in first}
    if not isinstance(first, tuple) or len(first) < 2:
        return data
    if not all(isinstance(item, tuple) and len(item) == len(first) for item in data):
        return data
    if isinstance(first[0], Mapping):
        inputs = columns_of_list([item[0] for item in data])
        batched = bool(_ndim(first[-1]))
        others = zip(*(item[1:] for item in data), strict=True)
        rest = (_joined(_way(batched), list(column), "y") for column in others)
        return (inputs, *rest)
    if not _ndim(first[0]):
        return data
    batched = all(_ndim(column) for column in first) and _even(dict(enumerate(first)))
    columns = zip(*data, strict=True)
    return tuple(_joined(_way(batched), list(column), n) for n, column in enumerate(columns))


def _way(batched: bool) -> Any:
    return np.concatenate if batched else np.stack


def _joined(join: Any, rows: list[Any], name: Any) -> NDArray[Any]:
    try:
        return np.asarray(join([to_numpy(row) for row in rows]))
    except ValueError as error:
        raise uneven(name) from error


def _ndim(value: Any) -> int:
    return len(value.shape) if hasattr(value, "shape") else np.ndim(value)


def _even(columns: Mapping[Any, Any]) -> bool:
    return len({len(column) if _ndim(column) else -1 for column in columns.values()}) == 1
