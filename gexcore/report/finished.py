"""What a finished folder holds: `run.json` by its schema, and the files that it has digests of."""

from __future__ import annotations

import csv
import hashlib
import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gexcore.backend.digests import file_digest
from gexcore.errors import InvalidDataError

SCORES, RUN, DIGEST = "scores.csv", "run.json", "digest"
FINISHED = "give the folder of a finished `gexcore score`"
NUMBERS = ("suspicion", "standard_error", "self_influence")
CLASSES = ("label", "suggested_label")
MOST_CLASSES = 2**31

Count = Annotated[int, msgspec.Meta(ge=0)]
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Command(msgspec.Struct):
    """Which command filled the folder, and what makes it this one."""

    name: str
    data: list[str] | None = None
    reading: dict[str, Any] = msgspec.field(default_factory=dict)


class Begun(msgspec.Struct):
    """`run.json` of a run that has begun."""

    command: Command


class Cut(msgspec.Struct, forbid_unknown_fields=True):
    """The threshold, see `gexcore.decisions.cuts.Threshold`."""

    value: float | None
    method: str
    reason: str
    clip: float | None = None
    withheld: list[Count] = msgspec.field(default_factory=list)


class Point(msgspec.Struct):
    """A snapshot of a chain."""

    chain: Count
    number: Count
    status: str
    lr: float | None = None
    skill: float | None = None


class Points(msgspec.Struct):
    """How many snapshots there are of each kind, and all of them."""

    member: Count = 0
    cold: Count = 0
    melted: Count = 0
    diverged: Count = 0
    all: list[Point] = msgspec.field(default_factory=list)


class Told(msgspec.Struct):
    """A finding about the run."""

    name: str
    sentence: str


class Record(Begun, kw_only=True):
    """`run.json` of a finished run."""

    threshold: Cut
    files: dict[str, Digest]
    method: str
    backend: str
    samples: Count
    digest: Digest
    data: list[str] = msgspec.field(default_factory=list)
    classes: Annotated[int, msgspec.Meta(ge=0, le=MOST_CLASSES)] | None = None
    class_names: list[bool | int | float | str] | None = None
    seconds: float | None = None
    passes: dict[str, float] = msgspec.field(default_factory=dict)
    snapshots: Points = msgspec.field(default_factory=Points)
    learning_rates: list[float] = msgspec.field(default_factory=list)
    findings: list[Told] = msgspec.field(default_factory=list)
    plan: dict[str, Any] = msgspec.field(default_factory=dict)
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    chosen: dict[str, Any] = msgspec.field(default_factory=dict)
    weighting: dict[str, Any] = msgspec.field(default_factory=dict)
    versions: dict[str, str] = msgspec.field(default_factory=dict)


def begun_command(folder: Path) -> dict[str, Any] | None:
    """The command in `run.json`, finished or not; None without a valid one."""
    try:
        run = msgspec.json.decode((folder / RUN).read_bytes())
        msgspec.convert(run, Begun)
    except (OSError, msgspec.MsgspecError, RecursionError):
        return None
    command: dict[str, Any] = run["command"]
    return command


def read_finished(folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """`run.json` and the columns of `scores.csv`.

    Raises
    ------
    InvalidDataError
        If the folder is not finished, or its files were changed.
    """
    for name in (SCORES, RUN):
        if not (folder / name).is_file():
            raise InvalidDataError(f"{folder} has no {name}; {FINISHED}")
    try:
        run: dict[str, Any] = msgspec.json.decode((folder / RUN).read_bytes())
        record = msgspec.convert(run, Record)
        is_whole = sealed(run)[DIGEST] == record.digest
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(folder, f"{RUN}: {error}") from error
    if not is_whole:
        raise _changed(folder / RUN)
    check_content(folder, SCORES, run)
    try:
        columns = read_scores(folder / SCORES, record.classes, record.class_names)
    except (ValueError, KeyError, csv.Error, OverflowError) as error:
        raise _unreadable(folder, str(error)) from error
    if len(columns["suspect"]) != record.samples:
        told = f"{SCORES} has {len(columns['suspect'])} rows, and {RUN} {record.samples} samples"
        raise _unreadable(folder, told)
    return run, columns


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record for `run.json`, with the digest of all its other fields as its last one."""
    fields = {name: value for name, value in record.items() if name != DIGEST}
    return {**fields, DIGEST: _digest(fields)}


def _digest(fields: Mapping[str, Any]) -> str:
    """SHA-256 of the values, however a file spells and orders them."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def check_content(folder: Path, name: str, run: Mapping[str, Any]) -> None:
    """Refuse a file that is not what the run wrote.

    Raises
    ------
    InvalidDataError
    """
    if file_digest(folder / name) != run.get("files", {}).get(name):
        raise _changed(folder / name)


def _changed(path: Path) -> InvalidDataError:
    return InvalidDataError(
        f"{path} cannot be read (it is not what the run wrote); put the file back, or score the "
        "data anew"
    )


def read_scores(
    path: Path, classes: int | None, names: Sequence[Any] | None = None
) -> dict[str, NDArray[Any]]:
    """The columns of a scores file, read row by row; `names` of the classes become numbers.

    Raises
    ------
    ValueError, KeyError, OverflowError, csv.Error
        If it is none, or a class is outside 0 … classes − 1.
    """
    known = None if names is None else _written(names)
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        header = next(rows, [])
        if len(set(header)) < len(header):
            raise ValueError(f"two columns of {path.name} have one name")
        at = {name: header.index(name) for name in header}
        numbers = {at[name]: array("d") for name in NUMBERS if name in at}
        codes = {at[name]: array("q") for name in CLASSES if name in at}
        suspect, index = bytearray(), at["index"]
        is_suspect, _ = at["suspect"], at["label"]
        # only a method without losses, and so without suggestions, has no suspicion
        if "suspicion" not in at and at.keys() & {"suggested_label", "value"}:
            raise KeyError("suspicion")
        for number, row in enumerate(_whole(rows, len(header))):
            if row[index] != str(number):
                raise ValueError(f"the index of {path.name} does not count from 0")
            for place, values in numbers.items():
                values.append(float(row[place] or "nan"))
            for place, found in codes.items():
                code = int(row[place] or -1) if known is None else known[row[place]]
                if (code == -1) != (not row[place]) or code >= (classes or MOST_CLASSES):
                    raise ValueError(f"sample {number} has the class {row[place]}")
                found.append(code)
            suspect.append(("false", "true").index(row[is_suspect]))
    columns: dict[str, NDArray[Any]] = {
        header[place]: np.frombuffer(values, np.float64) for place, values in numbers.items()
    }
    for place, found in codes.items():
        column = np.frombuffer(found, np.int64)
        least, most = column.min(), column.max()
        if least < -1 or least < 0 <= most:
            raise ValueError(f"some samples have no valid {header[place]}")
        columns[header[place]] = np.full(len(column), None) if most < 0 else column
    columns["suspect"] = np.frombuffer(suspect, np.bool_)
    if not len(suspect):
        raise ValueError(f"{path.name} has no rows")
    return columns


def _written(names: Sequence[Any]) -> dict[str, int]:
    """The number of each class, by its name as a cell; −1 for an empty cell."""
    cells = {str(n).lower() if isinstance(n, bool) else str(n): i for i, n in enumerate(names)}
    # a text that a spreadsheet would take for a formula was written with an apostrophe
    return {f"'{cell}": code for cell, code in cells.items()} | cells | {"": -1}


def _whole(rows: Iterator[list[str]], width: int) -> Iterator[list[str]]:
    for row in rows:
        if len(row) != width:
            raise ValueError(f"a row has {len(row)} cells, and the header {width}")
        yield row


def _unreadable(folder: Path, why: str) -> InvalidDataError:
    told = (why.splitlines() or ["no text"])[0]
    return InvalidDataError(f"{folder} cannot be read as scores ({told}); {FINISHED}")
