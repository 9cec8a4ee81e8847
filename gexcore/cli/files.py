"""Training sets in files."""

from __future__ import annotations

import csv
import gzip
import math
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.archives import UNREADABLE, check_fits, names_in, read_npz
from gexcore.errors import InvalidDataError, InvalidSettingError, MissingExtraError

Columns = dict[str, NDArray[Any]]
XY = tuple[NDArray[Any], NDArray[Any]]
Read = TypeVar("Read")

IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP_MAGIC = b"\x1f\x8b"
KINDS = (
    "an .npz file with x and y, two idx files as FEATURES,LABELS, or a .csv or .parquet file "
    "with --label"
)


def data_paths(where: str) -> list[Path]:
    """The files that DATA names.

    Raises
    ------
    InvalidDataError
        If a file does not exist or may not be read.
    """
    whole = Path(where)
    paths = [whole]
    if "," in where and not os.path.exists(where):
        paths = [Path(part.strip()) for part in where.split(",")]
    for path in paths:
        refuse_missing(path, f"DATA is {KINDS}")
        if not os.access(path, os.R_OK):
            raise InvalidDataError(f"{path} may not be read by this user; change its permissions")
    return paths


def refuse_missing(path: Path, kind: str) -> None:
    """Refuse a path without a file.

    Raises
    ------
    InvalidDataError
    """
    try:
        is_file, exists = path.is_file(), path.exists()
    except OSError as error:  # a name that is too long, or a folder that may not be read
        raise InvalidDataError(
            f"{str(path)[:80]} cannot be looked up ({error.strerror}); {kind}"
        ) from error
    if not is_file:
        raise InvalidDataError(f"{path} {'is no file' if exists else 'does not exist'}; {kind}")


def read_data(paths: list[Path], label: str | None) -> XY:
    """Inputs and targets of the files. Columns of tables become float64.

    Parameters and errors are the same as for `read_columns`.
    """
    return inputs_and_targets(read_columns(paths, label), label)


def inputs_and_targets(columns: Columns, label: str | None) -> XY:
    """Columns x and y, or the features of a table as one array and its column `label`.

    Raises
    ------
    InvalidDataError
        If a table has no features.
    """
    if label is None:
        return columns["x"], columns["y"]
    features = [column.astype(np.float64) for name, column in columns.items() if name != label]
    if not features:
        raise InvalidDataError(f"there is no column beside {label}; give at least one feature")
    return np.stack(features, axis=1), columns[label]


def read_columns(paths: list[Path], label: str | None) -> Columns:
    """The columns of a table, or x and y from other files.

    Parameters
    ----------
    paths : list of Path
        One .npz, .csv or .parquet, or a pair of idx files, features first.
    label : str or None
        Column of a table with the targets.

    Raises
    ------
    InvalidDataError, InvalidSettingError, MissingExtraError
    """
    tables: dict[str, Callable[[Path], Columns]] = {".csv": _csv, ".parquet": _parquet}
    suffix = paths[0].suffix.lower()
    if len(paths) == 1 and suffix in tables:
        columns = _reading(tables[suffix], paths[0], suffix)
        if label is None or label not in columns:
            wrong = "is missing" if label is None else f"{label} names no column of {paths[0]}"
            raise InvalidSettingError(f"--label {wrong}; give one of {', '.join(columns)}")
        return columns
    if label is not None:
        raise InvalidSettingError(
            f"--label {label} is for the columns of .csv and .parquet files; leave it out"
        )
    if len(paths) == 2:
        x, y = (_reading(_idx, path, "idx") for path in paths)
        if y.ndim != 1:
            msg = (
                f"{paths[1]} has {y.ndim} dimensions, and labels have one; name the features "
                "first: FEATURES,LABELS"
            )
            raise InvalidDataError(msg)
    elif len(paths) == 1 and suffix == ".npz":
        x, y = _reading(_npz, paths[0], suffix)
    else:
        raise InvalidDataError(f"{','.join(map(str, paths))} is of no known kind; DATA is {KINDS}")
    return {"x": x, "y": y}


def _reading(read: Callable[[Path], Read], path: Path, kind: str) -> Read:
    try:
        return read(path)
    except (InvalidDataError, MissingExtraError):
        raise
    except UNREADABLE as error:
        told = (str(error).splitlines() or [type(error).__name__])[0]
        msg = f"{path} cannot be read as {kind}: it is truncated or of another kind ({told})"
        raise InvalidDataError(msg) from error


def _npz(path: Path) -> XY:
    arrays = read_npz(path, ("x", "y"))
    missing = [name for name in ("x", "y") if name not in arrays]
    if missing:
        has = ", ".join(names_in(path)) or "nothing"
        msg = (
            f"{path} has no array {' and no array '.join(missing)}, but {has}; save it as "
            "numpy.savez(file, x=…, y=…)"
        )
        raise InvalidDataError(msg)
    x, y = arrays["x"], arrays["y"]
    for name, array in (("x", x), ("y", y)):
        if array.ndim == 0:
            raise InvalidDataError(f"{name} of {path} is a single value; give one row per sample")
    if x.dtype.kind not in "biuf":
        raise InvalidDataError(
            f"x of {path} is of type {x.dtype}; only numbers are allowed: encode it"
        )
    return x, y


def _idx(path: Path) -> NDArray[Any]:
    with path.open("rb") as raw:
        packed = raw.read(2) == GZIP_MAGIC
        raw.seek(0)
        file = gzip.GzipFile(fileobj=raw) if packed else raw
        zeros, code, ndim = struct.unpack(">HBB", file.read(4))
        if zeros or code not in IDX_TYPES or ndim == 0:
            raise ValueError("no idx header")
        shape = struct.unpack(f">{ndim}I", file.read(4 * ndim))
        dtype = np.dtype(IDX_TYPES[code])
        size = math.prod(shape) * dtype.itemsize
        check_fits(size, path.name)
        if not packed and path.stat().st_size < size:
            raise ValueError(f"{path.stat().st_size} bytes where the header says {size}")
        body = file.read(size)
        if len(body) != size or file.read(1):
            had = f"over {size}" if len(body) == size else len(body)
            raise ValueError(f"{had} bytes of data where the header says {size}")
    return np.frombuffer(body, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _csv(path: Path) -> Columns:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        if not header:
            raise ValueError("no header line")
        rows = []
        for row in filter(None, reader):
            if len(row) != len(header):
                msg = (
                    f"line {reader.line_num} of {path} has {len(row)} cells and the header "
                    f"{len(header)}; give one cell per column"
                )
                raise InvalidDataError(msg)
            rows.append(row)
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise InvalidDataError(f"{path} has two columns named {twice!r}; rename one")
    cells = zip(*rows, strict=True) if rows else ((),) * len(header)
    return {name: _numbers(name, column, path) for name, column in zip(header, cells, strict=True)}


def _numbers(name: str, cells: tuple[str, ...], path: Path) -> NDArray[Any]:
    try:
        return np.array(cells, dtype=np.int64)
    except (ValueError, OverflowError):
        pass
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError as error:
        raise _not_numeric(name, path, str(error)) from error


def _parquet(path: Path) -> Columns:
    try:
        import pandas as pd

        frame = pd.read_parquet(path)
    except ImportError as error:
        msg = "a .parquet file needs pandas and pyarrow; try: pip install 'gexcore[report]' pyarrow"
        raise MissingExtraError(msg) from error
    columns = {}
    for name in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise _not_numeric(str(name), path, f"its type is {frame[name].dtype}")
        column = frame[name]
        columns[str(name)] = (
            column.to_numpy(np.float64, na_value=np.nan) if column.hasnans else column.to_numpy()
        )
    return columns


def _not_numeric(name: str, path: Path, why: str) -> InvalidDataError:
    msg = (
        f"column {name!r} of {path} is not numeric ({why}); only numbers are allowed: "
        "leave the column out, or encode it (classes as 0 … K−1)"
    )
    return InvalidDataError(msg)
