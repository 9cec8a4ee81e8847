"""Results as arrays and plain values, in .npz files and in pickles: no model, no code."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.archives import UNREADABLE, names_in, read_npz
from gexcore.backend.files import write_new
from gexcore.decisions.cuts import Threshold
from gexcore.decisions.threshold import Suspects
from gexcore.errors import InvalidDataError

COLUMN, TABLE, TOLD, VERSION = "column ", "table ", "told", 1
"""Starts of the names of arrays in a file, the name of its JSON, and the version of the form."""

Arrays = Mapping[str, NDArray[Any]]


class Packable(Protocol):
    """A result, as far as it is packed."""

    def columns(self) -> dict[str, NDArray[Any]]:
        """One row per sample."""
        ...

    def tables(self) -> dict[str, NDArray[Any]]:
        """Further arrays."""
        ...

    def ranking(self) -> NDArray[np.intp]:
        """Positions, most suspicious first."""
        ...

    def suspects(self) -> Suspects:
        """Samples above the threshold."""
        ...

    def record(self) -> dict[str, Any]:
        """The content of `run.json`."""
        ...

    def to_dict(self) -> dict[str, float]:
        """Numbers that sum up the run."""
        ...


@dataclass(frozen=True)
class Packed:
    """A result without its model.

    Parameters
    ----------
    columns, tables : mapping of arrays
        Columns of the result, and arrays with other shapes. None of objects.
    told : mapping
        Plain values: record, threshold, numbers, names and sentences.
    """

    columns: Arrays
    tables: Arrays
    told: Mapping[str, Any]


def packed(result: Any) -> Packed:
    """The parts of a result that need no model."""
    given: Packable = result
    columns, found = given.columns(), given.suspects()
    names = result.run.names
    told = {
        "version": VERSION,
        "record": given.record(),
        "numbers": given.to_dict(),
        "threshold": found.threshold._asdict(),
        "threshold_on": result.threshold_on,
        "classes": names.classes,
        "index": None if names.index is None else list(names.index),
        "empty": [name for name, column in columns.items() if column.dtype == object],
        "repr": repr(result),
    }
    tables = {**given.tables(), "ranking": given.ranking(), "suspects": found.indices}
    kept = {name: column for name, column in columns.items() if column.dtype != object}
    return Packed(kept, tables, json.loads(json.dumps(_plain(told), allow_nan=False)))


def restored(parts: Packed) -> Any:
    """The saved result of these parts."""
    return import_module("gexcore.influence.saved").Saved(parts)  # which is made of this module


def write_packed(path: Path, parts: Packed) -> None:
    """Write a new .npz file.

    Raises
    ------
    OutputExistsError, InvalidSettingError
        If the path exists, or no file can be made there.
    """
    arrays = {COLUMN + name: array for name, array in parts.columns.items()}
    arrays |= {TABLE + name: array for name, array in parts.tables.items()}
    arrays[TOLD] = np.frombuffer(json.dumps(parts.told).encode(), np.uint8)
    write_new(path, lambda file: np.savez_compressed(file, allow_pickle=False, **arrays))


def read_packed(path: Path) -> Packed:
    """The content that `write_packed` wrote. Nothing is unpickled.

    Raises
    ------
    InvalidDataError
        If the file is any other file.
    """
    try:
        arrays = read_npz(path, names_in(path))
        told = json.loads(arrays.pop(TOLD).tobytes())
        threshold_of(told)
        if told["version"] != VERSION:
            raise ValueError("another version")
        columns, tables = (
            {name.removeprefix(start): a for name, a in arrays.items() if name.startswith(start)}
            for start in (COLUMN, TABLE)
        )
        rows = {len(column) for column in columns.values()}
        if rows != {told["record"]["samples"]} or rows != {len(tables["ranking"])}:
            raise ValueError("columns of different lengths")
    except FileNotFoundError:
        raise
    except (*UNREADABLE, KeyError, TypeError) as error:
        raise InvalidDataError(
            f"{path} was not written by save() of a result; name a file that was"
        ) from error
    return Packed(columns, tables, told)


def threshold_of(told: Mapping[str, Any]) -> Threshold:
    """The threshold of a packed result."""
    stored = told["threshold"]
    return Threshold(**{**stored, "withheld": tuple(stored["withheld"])})


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float) else str(value)
