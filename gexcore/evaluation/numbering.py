"""Labels of any kind as the numbers of their classes."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.errors import InvalidDataError


def numbered(y: Any, known: tuple[Any, ...] | None = None) -> tuple[Any, tuple[Any, ...] | None]:
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
        # a column of integers or booleans that may have gaps, such as "Int64" of pandas
        if getattr(y.dtype, "kind", "O") in "iub" and column.dtype.kind not in "iub":
            raise _missing(np.asarray(y.isna()))
    if not isinstance(column, np.ndarray):
        return column, None
    if column.ndim == 2 and column.shape[1] == 1 and column.dtype.kind in "iuOU":
        column = column[:, 0]
    if column.ndim == 1 and column.dtype.kind == "b":
        column = column.astype(np.int64)
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
    return all(value is None or isinstance(value, str | int | bool | np.generic) for value in y)


def _missing(absent: NDArray[np.bool_]) -> InvalidDataError:
    return InvalidDataError(
        f"{int(absent.sum())} labels are missing, first at position {int(absent.argmax())}; leave "
        "those samples out"
    )
