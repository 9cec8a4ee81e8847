"""Training sets in files and folders."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.archives import UNREADABLE, check_fits, names_in, read_npz
from gexcore.backend.digests import file_digest
from gexcore.cli.reading import Reading
from gexcore.cli.samples import Samples
from gexcore.cli.tables import TABLES, read_table
from gexcore.errors import GexError, InvalidDataError, InvalidSettingError

Columns = dict[str, NDArray[Any]]
XY = tuple[NDArray[Any], NDArray[Any]]
Read = TypeVar("Read")

IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP_MAGIC = b"\x1f\x8b"
STANDARD_INPUT, RECEIVED = "-", "data.jsonl"
"""The DATA that stands for standard input, and the file in which its lines are kept."""

KINDS = (
    "an .npz file with x and y, two idx or .npy files as FEATURES,LABELS, a .csv, .tsv, .parquet "
    "or .jsonl file with --label, a folder of pictures, a Hugging Face dataset saved on disk, or "
    "- for JSON lines on standard input"
)


def data_paths(where: str) -> list[Path]:
    """The files or the folder that DATA names.

    Raises
    ------
    InvalidDataError
        If a file does not exist or may not be read.
    """
    whole = Path(where)
    if os.path.isdir(where) and os.access(where, os.R_OK | os.X_OK):
        return [whole]
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


@contextmanager
def incoming(where: str) -> Iterator[list[Path]]:
    """The paths of DATA; what comes on standard input is in a file for the time of the block."""
    if where != STANDARD_INPUT:
        yield data_paths(where)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / RECEIVED
        path.write_bytes(sys.stdin.buffer.read())
        yield [path]


def data_digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all files in a folder."""
    if not path.is_dir():
        return file_digest(path)
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(path).as_posix()} {file_digest(file)}\n".encode())
    return digest.hexdigest()


def read_samples(paths: list[Path], reading: Reading) -> Samples:
    """The training set in these files or in this folder.

    Parameters
    ----------
    paths : list of Path
        One .npz file, table or folder, or a pair of idx or .npy files, features first.
    reading : Reading

    Raises
    ------
    InvalidDataError, InvalidSettingError, MissingExtraError
    """
    suffix = paths[0].suffix.lower()
    if len(paths) == 1 and paths[0].is_dir():
        from gexcore.cli.folders import read_folder  # needs packages that other data do not

        return read_folder(paths[0], reading)
    if len(paths) == 1 and suffix in TABLES:
        return _reading(lambda path: read_table(path, reading), paths[0], suffix)
    if reading.label is not None:
        raise InvalidSettingError(
            f"--label {reading.label} is for the columns of tables; leave it out"
        )
    reading.taken((), "arrays")
    if len(paths) == 2:
        read = _npy if suffix == ".npy" else _idx
        x, y = (_reading(read, path, suffix if suffix == ".npy" else "idx") for path in paths)
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
    if len(x) != len(y):
        raise InvalidDataError(
            f"DATA has {len(x)} inputs and {len(y)} labels; give one label for each input"
        )
    return Samples(y=y, x=x, reading=reading)


def _reading(read: Callable[[Path], Read], path: Path, kind: str) -> Read:
    try:
        return read(path)
    except GexError:
        raise
    except UNREADABLE as error:
        told = (str(error).splitlines() or [type(error).__name__])[0]
        why = f"it is truncated or of another kind ({told})"
        if isinstance(error, UnicodeDecodeError) and kind in (".csv", ".tsv", ".jsonl"):
            why = "it is not in UTF-8; save it as UTF-8"
        msg = f"{path} cannot be read as {kind}: {why}"
        raise InvalidDataError(msg) from error


def _npz(path: Path) -> XY:
    arrays = read_npz(path, ("x", "y"))
    missing = [name for name in ("x", "y") if name not in arrays]
    if missing:
        # a name of a damaged file may hold line breaks
        names = (name if name.isprintable() else repr(name) for name in names_in(path))
        has = ", ".join(names) or "nothing"
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


def _npy(path: Path) -> NDArray[Any]:
    return np.asarray(np.lib.format.open_memmap(path, mode="r"))
