"""Files that are written whole or not at all, under secret names, and never through a link."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from gexcore.errors import InvalidSettingError, OutputExistsError, StoreError

PART = ".part"
"""Suffix of the name of an incomplete file."""

Content = bytes | Callable[[BinaryIO], object]
"""The content of a file, or a function that writes it."""


def part_beside(path: Path, content: Content) -> Path:
    """A new file with this content in the same folder, for a later `os.replace`.

    Raises
    ------
    StoreError
        If the disk is full, or the content cannot be written for another reason.
    """
    part = path.with_name(f".{secrets.token_hex(8)}{PART}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                content(file)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OSError) and error.filename is None and error.strerror:
            raise StoreError(
                f"{path} cannot be written ({error.strerror}); make room, then run the same again"
            ) from error
        raise
    return part


def write_whole(path: Path, content: Content) -> None:
    """Create or replace a file. After an error the path has its old content.

    If the path is a link, the file replaces the link.
    """
    part = part_beside(path, content)
    try:
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def refuse_links(root: Path, path: Path) -> None:
    """Refuse a path whose folders inside `root` are not all folders of their own.

    `root` may be a link, because the user chooses it. The last part of the path may be one too:
    files that are written whole replace it.

    Raises
    ------
    StoreError
    """
    inside = path.relative_to(root).parts
    for depth in range(1, len(inside)):
        folder = root.joinpath(*inside[:depth])
        if folder.is_symlink():
            raise StoreError(
                f"{folder} is a link, and a store must not lead out of its folder; put what it "
                "links to there"
            )


def check_folder(folder: Path) -> None:
    """Refuse a path that is no folder, or cannot be written to.

    Raises
    ------
    InvalidSettingError
    """
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        told = "cannot be written to" if folder.is_dir() else "is no folder"
        raise InvalidSettingError(
            f"{folder} {told}; name a file in a folder that can be written to"
        )


def write_new(path: Path, content: Content) -> None:
    """Write a new file, whole or not at all.

    Raises
    ------
    OutputExistsError, InvalidSettingError
        If `check_new` refuses the path.
    """
    check_new(path)
    part = part_beside(path, content)
    try:
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
    check_folder(path.absolute().parent)
