"""New files, each written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from gexcore.errors import InvalidSettingError, OutputExistsError


def write_new(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a new file. After an error the path holds nothing.

    Raises
    ------
    OutputExistsError, InvalidSettingError
    """
    check_new(path)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            write(file)
        check_new(path)  # the path may have appeared meanwhile
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def check_new(path: Path) -> None:
    """Refuse a path that exists, or where no file can be made.

    Raises
    ------
    OutputExistsError, InvalidSettingError
    """
    if path.exists() or path.is_symlink():
        raise OutputExistsError(f"{path} exists, and is never overwritten; name another file")
    folder = path.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        told = "cannot be written to" if folder.is_dir() else "is no folder"
        raise InvalidSettingError(
            f"{folder} {told}; name a file in a folder that can be written to"
        )
