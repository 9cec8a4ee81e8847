"""Arrays in .npz archives, whose headers are checked before anything is unpacked."""

from __future__ import annotations

import csv
import lzma
import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    KeyError,
    IndexError,
    TypeError,
    OverflowError,
    SyntaxError,
    tokenize.TokenError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    csv.Error,
    struct.error,
)
"""What a reader raises for a file that is damaged, or that someone has prepared."""


def read_npz(path: Path, names: Collection[str]) -> dict[str, NDArray[Any]]:
    """The named arrays of an .npz archive, without the missing ones. Nothing is unpickled.

    Raises
    ------
    UNREADABLE
        If the file is no archive, a header does not fit its content, or an array does not fit the
        memory.
    """
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        found = {}
        for name in names:
            if name in members:
                with archive.open(members[name]) as member:
                    found[name] = _read_array(member, members[name].file_size, name)
        return found


def names_in(path: Path) -> list[str]:
    """Names of the arrays in an .npz archive.

    Raises
    ------
    UNREADABLE
    """
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def check_fits(size: int, what: str) -> None:
    """Refuse what would not fit into the memory that is free.

    Raises
    ------
    ValueError
    """
    free = _free_memory()
    if free is not None and size > free:
        raise ValueError(f"{what} unpacks to {size:,} bytes, and {free:,} bytes of memory are free")


def _read_array(member: Any, size: int, name: str) -> NDArray[Any]:
    header = _Counted(member)
    version = np.lib.format.read_magic(header)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"{name} is of a format of NumPy that is not known")
    shape, fortran, dtype = read(header)
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects, which are never unpickled")
    if not dtype.itemsize:
        raise ValueError(f"{name} holds no numbers")
    if any(type(length) is not int or length < 0 for length in shape):
        raise ValueError(f"{name} has the shape {shape}")
    expected = math.prod(shape) * dtype.itemsize
    if header.count + expected != size:
        had = size - header.count
        raise ValueError(f"{name} has {had:,} bytes where its header says {expected:,}")
    check_fits(expected, name)
    content = np.empty(expected, np.uint8)
    view, done = content.data, 0
    while done < expected and (taken := member.readinto(view[done : done + CHUNK])):
        done += taken
    if done < expected or member.read(1):  # the end is where the checksum is compared
        raise ValueError(f"{name} is cut off")
    return content.view(dtype).reshape(shape, order="F" if fortran else "C")


CHUNK = 2**24
"""Bytes that are unpacked at a time."""


class _Counted:
    """A file that counts what is read of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.count = file, 0

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes, or what is left."""
        content = self._file.read(size)
        self.count += len(content)
        return content


def _free_memory() -> int | None:
    """Bytes that this process may still take, where the system tells."""
    try:
        told = Path("/proc/meminfo").read_text(encoding="ascii")
        return 1024 * next(
            int(line.split()[1]) for line in told.splitlines() if line.startswith("MemAvailable")
        )
    except (OSError, StopIteration, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
