"""Data as users have them: x and y, tables, lists of samples; and the names in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.data import TARGET_KEYS, to_numpy
from gexcore.errors import InvalidDataError


@dataclass(frozen=True, eq=False)
class Given:
    """Data with its labels apart: ``fit(model, x, y)`` or ``fit(model, table, label="column")``."""

    data: Any
    y: Any = None
    label: str | None = None


@dataclass(frozen=True, eq=False)
class Names:
    """The names of samples and classes in the user's data.

    Parameters
    ----------
    index : pandas.Index, optional
        Index of the user's table.
    classes : tuple, optional
        Labels in the order of their numbers 0 … K − 1.
    columns : tuple, optional
        Columns of the inputs in the user's table.
    label : str, optional
        Column of the labels in the user's table.
    reads_tables : bool
        Whether the backend takes data frames by itself.
    """

    index: Any = None
    classes: tuple[Any, ...] | None = None
    columns: tuple[Any, ...] | None = None
    label: str | None = None
    reads_tables: bool = False

    def read(self, other: Any) -> Any:
        """Other data in the form that backends read, with the numbers and columns of these."""
        value = together(other, None, self.label) if _is_frame(other) else other
        return understood(
            value,
            reads_tables=self.reads_tables,
            classes=self.classes or (),
            columns=self.columns,
        )[0]

    def of(self, labels: NDArray[Any]) -> NDArray[Any]:
        """The user's own labels, for their numbers."""
        if self.classes is None:
            return labels
        names = np.empty(len(self.classes), dtype=object)
        names[:] = self.classes
        named: NDArray[Any] = names[labels]
        return named


NO_NAMES = Names()


def together(data: Any, y: Any = None, label: str | None = None) -> Any:
    """The data of a fit as one value."""
    return data if y is None and label is None else Given(data, y, label)


def understood(
    data: Any,
    *,
    reads_tables: bool = False,
    classes: tuple[Any, ...] | None = None,
    columns: tuple[Any, ...] | None = None,
) -> tuple[Any, Names]:
    """Data in a form that backends read, and its names.

    Parameters
    ----------
    data : Given, (x, y), list of samples, list of batches, or anything else
        What is not one of these is returned as it is.
    reads_tables : bool
        Whether the backend takes data frames and labels of any type by itself.
    classes : tuple, optional
        Labels in the order of their numbers, where other data have set it. Empty where the labels
        of the other data are numbers themselves.
    columns : tuple, optional
        Columns of the other data, if they are a table. A table is brought to their order.

    Raises
    ------
    InvalidDataError
        For a table without a column of labels, and for columns that are no numbers.
    """
    if isinstance(data, Given):
        data = _joined(data)
    elif _is_frame(data):
        msg = (
            "the data is a data frame, and its column of labels is not known; give "
            f"label='column', with one of {', '.join(map(str, list(data.columns)[:8]))}"
        )
        raise InvalidDataError(msg)
    if isinstance(data, list):
        data = _stacked(data)
    if not isinstance(data, tuple) or len(data) < 2:
        return data, Names()
    *inputs, y = data
    index = own = None
    if _is_frame(inputs[0]):
        index, own = inputs[0].index, tuple(inputs[0].columns)
    if reads_tables:
        return (*inputs, y), Names(index)
    if own is not None and columns is not None:
        inputs[0] = _in_order(inputs[0], columns)
    y, classes = _numbered(y, classes)
    names = Names(index, classes, own)
    if len(inputs) == 1 and isinstance(inputs[0], Mapping):
        return {**inputs[0], TARGET_KEYS[0]: y}, names
    return (*(_array(x) if _is_frame(x) else x for x in inputs), y), names


def _in_order(frame: Any, columns: tuple[Any, ...]) -> Any:
    """A table with its columns in the order of the training data."""
    if set(frame.columns) != set(columns) or len(frame.columns) != len(columns):
        msg = (
            f"the table has the columns {', '.join(map(str, list(frame.columns)[:8]))} and the "
            f"training data {', '.join(map(str, columns[:8]))}; give the same columns"
        )
        raise InvalidDataError(msg)
    return frame if tuple(frame.columns) == columns else frame[list(columns)]


def _joined(given: Given) -> Any:
    data, y, label = given.data, given.y, given.label
    if label is None:
        return (*data, y) if isinstance(data, tuple) else (data, y)
    if y is not None:
        raise InvalidDataError("both y and label= are given; give the labels once")
    if isinstance(data, Mapping) and label in data:
        rest = {name: column for name, column in data.items() if name != label}
        return rest, data[label]
    if not _is_frame(data):
        msg = (
            f"label= names a column of a data frame or a dict, and the data is a "
            f"{type(data).__name__}; give fit(model, x, y)"
        )
        raise InvalidDataError(msg)
    if label not in data.columns:
        msg = (
            f"the data has no column {label!r}; allowed are "
            f"{', '.join(map(str, list(data.columns)[:8]))}"
        )
        raise InvalidDataError(msg)
    return data.drop(columns=label), data[label]


def _stacked(data: list[Any]) -> Any:
    """A list of samples (x, y), or of batches, as columns; another list as it is."""
    first = data[0] if data else None
    if isinstance(first, Mapping) and all(isinstance(item, Mapping) for item in data):
        join = np.concatenate if _ndim(next(iter(first.values()))) and _even(first) else np.stack
        return {name: _joined_by(join, [item[name] for item in data], name) for name in first}
    if not isinstance(first, tuple) or len(first) < 2 or not _ndim(first[0]):
        return data
    if not all(isinstance(item, tuple) and len(item) == len(first) for item in data):
        return data
    batched = all(_ndim(column) for column in first) and _even(dict(enumerate(first)))
    join = np.concatenate if batched else np.stack
    columns = zip(*data, strict=True)
    return tuple(_joined_by(join, list(column), n) for n, column in enumerate(columns))


def _joined_by(join: Any, rows: list[Any], name: Any) -> NDArray[Any]:
    try:
        return np.asarray(join([to_numpy(row) for row in rows]))
    except ValueError as error:
        msg = (
            f"column {name} of the data has samples of unequal shapes; pad them to one shape, or "
            "give a loader whose collate_fn pads"
        )
        raise InvalidDataError(msg) from error


def _ndim(value: Any) -> int:
    return len(value.shape) if hasattr(value, "shape") else np.ndim(value)


def _even(columns: Mapping[Any, Any]) -> bool:
    return len({len(column) if _ndim(column) else -1 for column in columns.values()}) == 1


def _is_frame(value: Any) -> bool:
    return hasattr(value, "columns") and hasattr(value, "iloc")


def _array(frame: Any) -> NDArray[Any]:
    for name in frame.columns:
        kind = getattr(frame[name].dtype, "kind", "O")
        if kind not in "biuf":
            msg = (
                f"column {name!r} of the data is of type {frame[name].dtype}, and the model takes "
                "numbers; encode it, or leave it out"
            )
            raise InvalidDataError(msg)
    return np.asarray(frame.to_numpy(dtype=np.float64))


def _numbered(y: Any, known: tuple[Any, ...] | None = None) -> tuple[Any, tuple[Any, ...] | None]:
    """Labels as numbers, and what they are numbers of where they are no numbers themselves."""
    categories = getattr(getattr(y, "cat", y), "categories", None)
    if categories is not None and (known is not None or _are_numbers(categories)):
        y = np.asarray(y, dtype=object)
    elif categories is not None:
        codes = np.asarray(getattr(y, "cat", y).codes)
        if (codes < 0).any():
            raise _missing(codes < 0)
        return codes.astype(np.int64), tuple(categories)
    if hasattr(y, "columns") or not hasattr(y, "iloc"):
        column = np.asarray(y) if isinstance(y, list | tuple) and y and _plain(y) else y
    else:
        column = y.to_numpy()
    if not isinstance(column, np.ndarray):
        return column, None
    if column.ndim == 2 and column.shape[1] == 1 and column.dtype.kind in "iuOU":
        column = column[:, 0]
    named = (
        "OUSiu" if known and all(isinstance(name, int | np.integer) for name in known) else "OUS"
    )
    if column.ndim != 1 or column.dtype.kind not in named:
        return column, None
    absent = np.array([_is_absent(value) for value in column])
    if absent.any():
        raise _missing(absent)
    names = set(column.tolist())
    if not known or not names & set(known):
        if all(isinstance(name, int) for name in names):
            return column.astype(np.int64), None
        if all(isinstance(name, Real) for name in names):
            return column.astype(np.float64), None
    unknown = names - set(names if known is None else known)
    if unknown:
        msg = (
            f"the label {min(map(str, unknown))!r} is not among the labels of the training data; "
            "give samples of its classes"
        )
        raise InvalidDataError(msg)
    try:
        ordered = sorted(names) if known is None else list(known)
    except TypeError:
        ordered = sorted(names, key=lambda name: (type(name).__name__, str(name)))
    number = {name: code for code, name in enumerate(ordered)}
    return np.array([number[name] for name in column.tolist()]), tuple(ordered)


def _are_numbers(categories: Any) -> bool:
    """Whether categories are the numbers 0 … K − 1 themselves, in any order."""
    return set(categories) == set(range(len(categories)))


def _is_absent(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA compares with nothing
        return True


def _plain(y: Any) -> bool:
    return all(isinstance(value, str | int | bool | np.generic) for value in y)


def _missing(absent: NDArray[np.bool_]) -> InvalidDataError:
    return InvalidDataError(
        f"{int(absent.sum())} labels are missing, first at position {int(absent.argmax())}; leave "
        "those samples out"
    )
