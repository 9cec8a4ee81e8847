"""Datasets: samples in a fixed order, addressed by position."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gexcore.backend.arrays import TARGET_KEYS as TARGET_KEYS
from gexcore.backend.arrays import targets_of as targets_of
from gexcore.backend.arrays import to_numpy as to_numpy
from gexcore.backend.capabilities import supports
from gexcore.backend.protocols import Backend, Dataset, Indices, SupportsDatasets
from gexcore.backend.rows import Picked, RowDataset, ThroughDataset
from gexcore.backend.streams import batches_by_size, columns_of_stream
from gexcore.errors import InvalidDataError


class ArrayDataset:
    """Arrays with one sample per row, as a `Dataset`.

    Parameters
    ----------
    *columns : array
        Arrays of NumPy or a framework, of equal lengths. The last array is the target.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.backend.data import ArrayDataset
    >>> data = ArrayDataset(np.arange(6.0).reshape(3, 2), np.array([0, 1, 0]))
    >>> len(data), data.batch(np.array([2]))
    (3, (array([[4., 5.]]), array([0])))
    """

    def __init__(self, *columns: Any) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns[0])

    def batch(self, indices: Indices, /) -> tuple[Any, ...]:
        """The rows at these positions."""
        rows = as_slice(indices)
        return tuple(column[rows] for column in self.columns)


class MappingDataset:
    """Named columns with one sample per row; a batch is a dict of arrays."""

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self.columns = dict(columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def batch(self, indices: Indices, /) -> dict[str, Any]:
        """The rows at these positions."""
        rows = as_slice(indices)
        return {name: column[rows] for name, column in self.columns.items()}


class HuggingFaceDataset:
    """A Hugging Face ``datasets.Dataset``; a batch is a dict of NumPy arrays."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows.with_format("numpy")

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: Indices, /) -> dict[str, Any]:
        """The rows at these positions."""
        batch = {name: np.asarray(column) for name, column in self.rows[indices.tolist()].items()}
        for name, column in batch.items():
            if column.dtype.kind == "O" and len(column) and isinstance(column[0], np.ndarray):
                msg = (
                    f"column {name!r} has rows of unequal lengths; give "
                    "collate_fn=DataCollatorWithPadding(tokenizer), or another function that pads "
                    "a list of samples"
                )
                raise InvalidDataError(msg)
        return batch


@dataclass(frozen=True)
class Subset:
    """Some samples of a dataset."""

    data: Dataset[Any]
    positions: Indices

    def __len__(self) -> int:
        return len(self.positions)

    def batch(self, indices: Indices, /) -> Any:
        """The samples at these positions of the subset."""
        return self.data.batch(self.positions[indices])


def as_slice(indices: Indices) -> Indices | slice:
    """Consecutive positions as a slice, which gives a view instead of a copy."""
    first, last = int(indices[0]), int(indices[-1])
    if last - first == len(indices) - 1 and np.array_equal(indices, np.arange(first, last + 1)):
        return slice(first, last + 1)
    return indices


def as_dataset(data: Any, backend: Backend[Any, Any] | None = None) -> Dataset[Any]:
    """Data of any known form, as a `Dataset`.

    Parameters
    ----------
    data : Dataset, (x, y), mapping of arrays, or a framework's dataset
        Data. Arrays have one sample per row.
    backend : Backend, optional
        Backend that may know its framework's own datasets (`SupportsDatasets`).

    Raises
    ------
    InvalidDataError
        If the data have no known form, no samples, unequal lengths, or non-finite numbers.
    """
    dataset = _wrap(data, backend)
    if len(dataset) == 0:
        raise InvalidDataError("the data has no samples; give at least one")
    if isinstance(dataset, ArrayDataset | MappingDataset):
        _check_columns(dataset)
    return dataset


def _wrap(data: Any, backend: Backend[Any, Any] | None) -> Dataset[Any]:
    if isinstance(data, Picked):
        return ThroughDataset(_wrap(data.data, backend), data.pick)
    if isinstance(data, Mapping) and data and all(map(_is_split, data.values())):
        first = next(iter(data))
        msg = (
            f"the data has the splits {', '.join(map(str, data))}; give one of them, such as "
            f"data[{first!r}]"
        )
        raise InvalidDataError(msg)
    # natives first: tf.data and Hugging Face datasets also have __len__ and another batch
    if backend is not None and supports(backend, SupportsDatasets):
        native: Dataset[Any] | None = backend.dataset(data)
        if native is not None:
            return native
    if type(data).__module__.partition(".")[0] == "datasets":
        return HuggingFaceDataset(data)
    columns = columns_of_stream(data)
    if columns is not None:
        return _wrap(columns, backend)
    if isinstance(data, Dataset) and not batches_by_size(data):
        return data
    if isinstance(data, tuple | list) and len(data) >= 2 and all(_is_column(c) for c in data):
        return ArrayDataset(*(_as_array(c) for c in data))
    if isinstance(data, Mapping) and data and all(_is_column(c) for c in data.values()):
        return MappingDataset({name: _as_array(c) for name, c in data.items()})
    if all(hasattr(data, name) for name in ("dataset", "collate_fn", "batch_sampler")):
        return RowDataset(data.dataset, data.collate_fn)  # a loader of another framework
    if _is_rows(data):
        return RowDataset(data)
    if isinstance(data, Iterable) and not hasattr(data, "__getitem__"):
        msg = (
            f"a {type(data).__name__} gives samples in turn and not by position; give list(data), "
            "read without shuffling"
        )
        raise InvalidDataError(msg)
    msg = (
        f"data of type {type(data).__name__} is not understood; give (x, y) arrays, a dict of "
        "arrays, a dataset of the model's framework, or an object with __len__ and batch(indices)"
    )
    raise InvalidDataError(msg)


def _is_split(value: Any) -> bool:
    return hasattr(value, "column_names") or hasattr(value, "element_spec")


def _is_rows(data: Any) -> bool:
    named = hasattr(data, "__len__") and hasattr(data, "__getitem__")
    plain = (str, bytes, tuple, list, Mapping)
    return named and not isinstance(data, plain) and not hasattr(data, "shape")


def _is_column(value: Any) -> bool:
    return (
        hasattr(value, "__len__")
        and getattr(value, "ndim", 1) > 0
        and not isinstance(value, str | Mapping)
    )


def _as_array(column: Any) -> Any:
    _check_whole(column)
    if hasattr(column, "shape"):
        return column
    try:
        return np.asarray(column)
    except ValueError as error:
        msg = (
            "a column of the data has rows of unequal shapes; give (x, y) arrays, with one row "
            "of the same shape per sample"
        )
        raise InvalidDataError(msg) from error


def _check_whole(column: Any) -> None:
    """Refuse an array whose rows are not all there: a sparse or a masked one."""
    if hasattr(column, "toarray") or "sparse" in str(getattr(column, "layout", "")):
        how = "x.toarray()" if hasattr(column, "toarray") else "x.to_dense()"
        msg = (
            f"the data has a sparse matrix of shape {tuple(column.shape)}, and this model takes "
            f"dense arrays; give {how}, or an object with __len__ and batch(indices) that makes "
            "batches dense"
        )
        raise InvalidDataError(msg)
    if isinstance(column, np.ma.MaskedArray) and np.ma.is_masked(column):
        count = int(np.ma.getmaskarray(column).sum())
        msg = (
            f"the data has an array with {count} masked values; fill them in, as x.filled(0) does, "
            "or leave those samples out"
        )
        raise InvalidDataError(msg)


def _check_columns(dataset: ArrayDataset | MappingDataset) -> None:
    columns = (
        dataset.columns if isinstance(dataset, MappingDataset) else dict(enumerate(dataset.columns))
    )
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name}: {n}" for name, n in lengths.items())
        msg = (
            f"the columns of the data have unequal lengths ({told}); give one row per sample in "
            "each"
        )
        raise InvalidDataError(msg)
    for name, column in columns.items():
        _check_whole(column)
        # only arrays in memory: a column on disk is not read twice
        if not hasattr(column, "__dlpack__") or "float" not in str(column.dtype):
            continue
        finite = np.isfinite(to_numpy(column).reshape(len(column), -1)).all(axis=1)
        if not finite.all():
            where = f"column {name!r}" if isinstance(name, str) else _part(name, len(columns))
            msg = (
                f"{where} of the data: {int((~finite).sum())} samples have values that are not "
                f"finite, first at position {int(np.argmin(finite))}; only finite numbers are "
                "allowed: fill them in or leave those samples out"
            )
            raise InvalidDataError(msg)


def _part(number: int, parts: int) -> str:
    """The name of an array of the tuple (x, y) or (x1, …, xn, y)."""
    if number == parts - 1:
        return "the targets"
    return "the inputs" if parts == 2 else f"input {number + 1}"
