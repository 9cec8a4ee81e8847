"""Tables in text files, Parquet files and JSON lines, read by pandas."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gexcore.cli.reading import Reading
from gexcore.cli.samples import Samples
from gexcore.errors import InvalidDataError, InvalidSettingError, MissingExtraError

if TYPE_CHECKING:
    import pandas as pd

TEXTS, LINES = (".csv", ".tsv"), (".jsonl", ".ndjson")
TABLES = (*TEXTS, ".parquet", *LINES)
SEPARATORS = ",;\t|"
SNIFFED = 1 << 16
"""Characters of a file from which the separator is found."""

ALLOWED = ("label", "columns", "text", "id")


def read_table(path: Path, reading: Reading) -> Samples:
    """A table with a column of labels.

    Parameters
    ----------
    path : Path
        One of `TABLES`.
    reading : Reading

    Raises
    ------
    InvalidDataError, InvalidSettingError, MissingExtraError
    """
    suffix = path.suffix.lower()
    reading.taken((*ALLOWED, "separator") if suffix in TEXTS else ALLOWED, f"{suffix} files")
    try:
        import pandas as pd

        if suffix in TEXTS:
            rows, frame = _text(pd, path, reading)
        elif suffix in LINES:
            frame = pd.read_json(path, lines=True, dtype=False, precise_float=True)
            rows = frame
        else:
            frame = pd.read_parquet(path)
            rows = frame
    except ImportError as error:
        msg = "a table needs pandas and pyarrow; try: pip install 'gexcore[report]'"
        raise MissingExtraError(msg) from error
    return samples_of(frame, rows, reading, str(path))


def samples_of(frame: pd.DataFrame, rows: pd.DataFrame, reading: Reading, where: str) -> Samples:
    """The samples of a data frame, with its columns checked.

    Parameters
    ----------
    frame : DataFrame
        Columns with their types.
    rows : DataFrame
        The same cells, as they came.
    reading : Reading
    where : str
        Origin, for errors.

    Raises
    ------
    InvalidDataError, InvalidSettingError
    """
    frame.columns = rows.columns = [str(name) for name in frame.columns]
    # a space around a name is not seen without quotes
    has = ", ".join(name if name == name.strip() else repr(name) for name in frame.columns)
    if reading.label is None:
        raise InvalidSettingError(f"--label is missing; give one of {has}")
    for flag, names in (
        ("label", [reading.label]),
        ("columns", reading.columns),
        ("text", [reading.text]),
        ("id", [reading.id]),
    ):
        for name in names:
            if name is not None and name not in frame.columns:
                raise InvalidSettingError(
                    f"--{flag} {name} names no column of {where}; give one of {has}"
                )
    if not len(frame):
        raise InvalidDataError(f"{where} has a header and no row; give at least one sample")
    y = _labels(frame[reading.label], rows[reading.label], reading.label, where)
    return Samples(y=y, frame=frame, rows=rows, reading=reading)


def _text(pd: Any, path: Path, reading: Reading) -> tuple[pd.DataFrame, pd.DataFrame]:
    separator = _separator(path, reading.separator)
    _check_rows(path, separator)
    form = {"sep": separator, "encoding": "utf-8-sig"}
    # the cells themselves, so that a cleaned file changes nothing but labels
    rows = pd.read_csv(path, **form, dtype=str, keep_default_na=False)
    return rows, pd.read_csv(path, **form)


def _separator(path: Path, given: str | None) -> str:
    if given is not None:
        separator = {"tab": "\t", "\\t": "\t"}.get(given, given)
        if len(separator) != 1:
            raise InvalidSettingError(
                f"--separator is {given!r}; give one character, or the word tab"
            )
        return separator
    if path.suffix.lower() == ".tsv":
        return "\t"
    with path.open(newline="", encoding="utf-8-sig") as file:
        text = file.read(SNIFFED)
    try:
        return csv.Sniffer().sniff(text, delimiters=SEPARATORS).delimiter
    except csv.Error:
        return ","


def _check_rows(path: Path, separator: str) -> None:
    """Refuse what pandas would fill up: short rows, and columns of one name."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, delimiter=separator)
        header = next(reader, [])
        if not header:
            raise ValueError("no header line")
        if len(set(header)) < len(header):
            twice = next(name for name in header if header.count(name) > 1)
            raise InvalidDataError(f"{path} has two columns named {twice!r}; rename one")
        for row in filter(None, reader):
            if len(row) != len(header):
                msg = (
                    f"line {reader.line_num} of {path} has {len(row)} cells and the header "
                    f"{len(header)}; give one cell per column, and the separator with --separator"
                )
                raise InvalidDataError(msg)


def _labels(column: pd.Series[Any], cells: pd.Series[Any], name: str, where: str) -> NDArray[Any]:
    missing = cells.isna() | (cells == "")
    if missing.any():
        msg = (
            f"column {name!r} of {where} has no label in {int(missing.sum())} of {len(cells)} "
            f"rows, the first at index {int(np.argmax(missing.to_numpy()))}; leave those rows out"
        )
        raise InvalidDataError(msg)
    if column.dtype.kind in "biuf" and not column.isna().any():
        return column.to_numpy()
    # pandas reads a class named "None" or "NA" as missing
    return np.asarray([str(cell) for cell in cells])
