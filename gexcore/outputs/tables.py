"""Columns in .npz, .csv and .parquet files."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.files import check_new, write_new
from gexcore.errors import InvalidDataError, MissingExtraError

if TYPE_CHECKING:
    import pandas as pd

Columns = Mapping[str, NDArray[Any]]

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a text cell that a spreadsheet would run."""

BLOCK = 2**12
"""Rows of a .csv file that are in memory at a time."""

FRAMES = (".csv", ".tsv", ".parquet", ".jsonl")
"""Kinds of files that hold a data frame."""

UNSAFE = set(',"\r\n')
"""Characters that need quotes in a text cell."""


def write_columns(path: str | Path, columns: Columns) -> None:
    """Write a new .npz, .csv or .parquet file.

    Parameters
    ----------
    path : str or Path
    columns : mapping of arrays
        Columns with one row per sample. A table has one number or text per row. In a .csv file,
        texts that look like a formula get an apostrophe.

    Raises
    ------
    OutputExistsError, InvalidSettingError
        If the path exists, or no file can be made there.
    InvalidDataError
        If the kind of file is unknown, or cannot hold the columns.
    MissingExtraError
        If .parquet needs a package that is not installed.
    """
    path = Path(path)
    check_columns(path, columns)
    write_new(path, lambda file: KINDS[path.suffix.lower()](file, columns))


def write_frame(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a data frame as a new .csv, .tsv, .parquet or .jsonl file, its cells as they are.

    Raises
    ------
    OutputExistsError, InvalidSettingError, InvalidDataError
        See `write_columns`.
    """
    path = Path(path)
    check_frame(path)
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        write_new(path, lambda file: frame.to_parquet(file, index=False))
    elif suffix == ".jsonl":
        write_new(
            path,
            lambda file: frame.to_json(
                file, orient="records", lines=True, force_ascii=False, double_precision=15
            ),
        )
    else:
        separator = "\t" if suffix == ".tsv" else ","
        write_new(path, lambda file: frame.to_csv(file, index=False, sep=separator))


def check_frame(path: Path) -> None:
    """Refuse a path that `write_frame` would refuse.

    Raises
    ------
    OutputExistsError, InvalidSettingError, InvalidDataError
    """
    if path.suffix.lower() not in FRAMES:
        raise InvalidDataError(
            f"{path} is of no known kind; name a file that ends in .npz, {', '.join(FRAMES)}"
        )
    check_new(path)


def check_columns(path: Path, columns: Columns) -> None:
    """Refuse a path that `write_columns` would refuse, before any work.

    Raises
    ------
    OutputExistsError, InvalidSettingError, InvalidDataError
    """
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        raise InvalidDataError(
            f"{path} is of no known kind; name a file that ends in {', '.join(KINDS)}"
        )
    deep = [name for name, column in columns.items() if column.ndim > 1]
    if deep and suffix != ".npz":
        msg = (
            f"{deep[0]} has {columns[deep[0]].ndim} dimensions, and a cell of {path} holds one "
            "value; name an .npz file"
        )
        raise InvalidDataError(msg)
    check_new(path)


def _npz(file: BinaryIO, columns: Columns) -> None:
    np.savez_compressed(file, allow_pickle=False, **columns)


def write_csv(file: BinaryIO, columns: Columns) -> None:
    """One row per sample, read and written in blocks of samples.

    Floats keep every digit. Unknown values are empty. A text that a spreadsheet would take for a
    formula gets an apostrophe.
    """
    file.write(f"{','.join(map(cell, columns))}\n".encode())
    samples = len(next(iter(columns.values())))
    for start in range(0, samples, BLOCK):
        parts = [column[start : start + BLOCK].tolist() for column in columns.values()]
        lines = [",".join(map(cell, row)) for row in zip(*parts, strict=True)]
        file.write("".join(f"{line}\n" for line in lines).encode())


def cell(value: Any) -> str:
    """One value as a cell of a .csv file."""
    if isinstance(value, str):
        text = f"'{value}" if value.startswith(FORMULA) else value
        # csv.writer leaves a lone carriage return bare, and most readers then begin a new row
        return '"' + text.replace('"', '""') + '"' if not text or set(text) & UNSAFE else text
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _parquet(file: BinaryIO, columns: Columns) -> None:
    try:
        import pandas as pd

        pd.DataFrame(dict(columns)).to_parquet(file, index=False)
    except ImportError as error:
        msg = "a .parquet file needs pandas and pyarrow; try: pip install 'gexcore[report]'"
        raise MissingExtraError(msg) from error


KINDS: dict[str, Callable[[BinaryIO, Columns], None]] = {
    ".npz": _npz,
    ".csv": write_csv,
    ".parquet": _parquet,
}
