"""Data as users have them: x and y, tables, lists of samples; and the names in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.data import TARGET_KEYS
from gexcore.backend.lists import columns_of_list
from gexcore.backend.rows import Collate, Picked, RowDataset
from gexcore.errors import InvalidDataError
from gexcore.evaluation.numbering import numbered


@dataclass(frozen=True, eq=False)
class Given:
    """Data with its labels apart: ``fit(model, x, y)`` or ``fit(model, table, label="column")``.

    `inputs` names further columns, and `collate_fn` makes batches of samples.
    """

    data: Any
    y: Any = None
    label: str | None = None
    inputs: tuple[str, ...] | None = None
    collate_fn: Collate | None = None


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
    inputs : tuple of str, optional
        Names of the columns that are inputs.
    collate_fn : callable, optional
        Function from a list of samples to a batch.
    shape : callable, optional
        Function from a batch to one without entries that the model does not take.
    """

    index: Any = None
    classes: tuple[Any, ...] | None = None
    columns: tuple[Any, ...] | None = None
    label: str | None = None
    reads_tables: bool = False
    inputs: tuple[str, ...] | None = None
    collate_fn: Collate | None = None
    shape: Callable[[Any], Any] | None = None

    def read(self, other: Any) -> Any:
        """Other data in the form that backends read, with the numbers and columns of these."""
        value = other
        if _is_frame(other):
            value = together(other, None, self.label, self.inputs)
        elif not isinstance(other, tuple):
            label = None if isinstance(other, Mapping) else self.label
            value = together(other, None, label, self.inputs, self.collate_fn)
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


def together(
    data: Any,
    y: Any = None,
    label: str | None = None,
    inputs: str | Sequence[str] | None = None,
    collate_fn: Collate | None = None,
) -> Any:
    """The data of a fit as one value."""
    if y is None and label is None and inputs is None and collate_fn is None:
        return data
    named = (inputs,) if isinstance(inputs, str) else inputs
    return Given(data, y, label, None if named is None else tuple(named), collate_fn)


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
    if _is_frame(data):
        msg = (
            "the data is a data frame, and its column of labels is not known; give "
            f"label='column', with one of {', '.join(map(str, list(data.columns)[:8]))}"
        )
        raise InvalidDataError(msg)
    if isinstance(data, list):
        data = columns_of_list(data)
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
    y, classes = numbered(y, classes)
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
    if y is not None and label is not None:
        raise InvalidDataError("both y and label= are given; give the labels once")
    if given.collate_fn is not None:
        return _collated(given)
    if label is None and given.inputs is None:
        return (*data, y) if isinstance(data, tuple) else (data, y)
    if _is_frame(data):
        return _of_frame(data, y, label, given.inputs)
    if isinstance(data, Mapping):
        picked = Picked(None, given.inputs, label).pick(data)
        if y is not None:
            return picked, y
        target = picked.pop(TARGET_KEYS[0], None)
        return picked if target is None else (picked, target)
    named = isinstance(data, list) and bool(data) and isinstance(data[0], Mapping)
    array = hasattr(data, "shape") and not hasattr(data, "column_names")
    if not named and (isinstance(data, tuple | list) or array):
        msg = (
            f"{'inputs' if label is None else 'label'}= names a column of a data frame or a dict, "
            f"and the data is a {type(data).__name__}; give fit(model, x, y)"
        )
        raise InvalidDataError(msg)
    return Picked(columns_of_list(data) if isinstance(data, list) else data, given.inputs, label)


def _collated(given: Given) -> Any:
    """The samples through the user's own function; those of a frame are dicts."""
    rows = given.data
    if _is_frame(rows):
        rows = rows.to_dict("records")
    if given.y is not None:
        rows = list(zip(rows, given.y, strict=False))
    data = RowDataset(rows, given.collate_fn)
    named = given.label is not None or given.inputs is not None
    return Picked(data, given.inputs, given.label) if named else data


def _of_frame(frame: Any, y: Any, label: str | None, inputs: tuple[str, ...] | None) -> Any:
    names = list(frame.columns)
    missing = [name for name in (*(inputs or ()), label) if name is not None and name not in names]
    if missing:
        msg = f"the data has no column {missing[0]!r}; allowed are {', '.join(map(str, names[:8]))}"
        raise InvalidDataError(msg)
    if label is None and y is None:
        return frame[list(inputs or names)]
    rest = frame if label is None else frame.drop(columns=label)
    return rest if inputs is None else rest[list(inputs)], frame[label] if y is None else y


def _is_frame(value: Any) -> bool:
    return hasattr(value, "columns") and hasattr(value, "iloc")


def _array(frame: Any) -> NDArray[Any]:
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        msg = (
            f"the data has several columns {twice[0]!r}, and the name of a column must be its own; "
            "rename them, or leave them out"
        )
        raise InvalidDataError(msg)
    for name in frame.columns:
        kind = getattr(frame[name].dtype, "kind", "O")
        if kind not in "biuf":
            msg = (
                f"column {name!r} of the data is of type {frame[name].dtype}, and the model takes "
                "numbers; encode it, or leave it out"
            )
            raise InvalidDataError(msg)
    return np.asarray(frame.to_numpy(dtype=np.float64))
