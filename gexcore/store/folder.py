"""Files by name in one place, local or remote. A file is replaced whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from gexcore.backend.files import refuse_links, write_whole
from gexcore.errors import (
    GexError,
    InvalidSettingError,
    MissingExtraError,
    StoreError,
    StoreMismatchError,
)

PARTIAL = ".partial"
"""Suffix of the names of incomplete files of Zarr."""


class Folder(Protocol):
    """The place of the records and states of a store."""

    def read(self, name: str) -> bytes | None:
        """The content of a file, or None."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Create or replace a file."""
        ...

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...

    def names(self) -> list[str]:
        """Names of all files."""
        ...


class LocalFolder:
    """A folder of this machine.

    Parameters
    ----------
    path : Path
        It is made if it is missing.
    root : Path, optional
        A folder above it. No folder below `root` may be a link when something is changed.
    """

    def __init__(self, path: Path, root: Path | None = None) -> None:
        self._path = path
        self._root = path if root is None else root
        path.mkdir(parents=True, exist_ok=True)

    def read(self, name: str) -> bytes | None:
        """The content of a file, or None."""
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Create or replace a file."""
        refuse_links(self._root, self._path / name)
        write_whole(self._path / name, content)

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""
        refuse_links(self._root, self._path / name)
        (self._path / name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Names of all files."""
        return [path.name for path in self._path.iterdir()]


class RemoteFolder:
    """A folder behind an fsspec URL."""

    def __init__(self, url: str) -> None:
        import fsspec

        self._files, self._path = fsspec.core.url_to_fs(url)
        self._files.makedirs(self._path, exist_ok=True)

    def read(self, name: str) -> bytes | None:
        """The content of a file, or None."""
        try:
            content: bytes = self._files.cat_file(f"{self._path}/{name}")
        except FileNotFoundError:
            return None
        return content

    def write(self, name: str, content: bytes) -> None:
        """Create or replace a file."""
        self._files.pipe_file(f"{self._path}/{name}", content)

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            self._files.rm_file(f"{self._path}/{name}")

    def names(self) -> list[str]:
        """Names of all files."""
        self._files.invalidate_cache(self._path)
        return [path.rpartition("/")[2] for path in self._files.ls(self._path, detail=False)]


def is_remote(where: str) -> bool:
    """Whether the place is a URL."""
    return "://" in where


def place_of(where: str | os.PathLike[str]) -> str:
    """A URL of this machine's files as the path of a folder. Others as they are.

    Raises
    ------
    MissingExtraError
    InvalidSettingError
        If it is no path and no URL.
    StoreError
        If fsspec cannot open the URL.
    """
    place = os.fspath(where) if isinstance(where, str | os.PathLike) else None
    if not isinstance(place, str) or not place or "\0" in place:
        raise InvalidSettingError(
            f"store is {where!r}, and must be the path of a folder, or a URL such as s3://"
        )
    if not is_remote(place):
        return place
    _check_extra()
    from fsspec.core import url_to_fs
    from fsspec.implementations.cached import CachingFileSystem
    from fsspec.implementations.local import LocalFileSystem

    try:
        files, path = url_to_fs(place)
        # what is written and read once gains nothing from a cache
        files = files.fs if isinstance(files, CachingFileSystem) else files
    except Exception as error:  # each file system raises errors of its own
        raise _no_store(place, error) from error
    return str(path) if isinstance(files, LocalFileSystem) else place


def _no_store(place: str, error: Exception) -> StoreError:
    told = (str(error).splitlines() or [""])[0]
    return StoreError(
        f"{place} cannot be opened ({type(error).__name__}: {told}); give a folder, or the URL of "
        "files that can be written and deleted, such as s3://"
    )


def _check_extra() -> None:
    try:
        import fsspec  # noqa: F401
        import safetensors  # noqa: F401
        import zarr  # noqa: F401
    except ImportError as error:
        msg = (
            f"store= needs {error.name}, which is not installed; try: pip install 'gexcore[store]'"
        )
        raise MissingExtraError(msg) from error


def folder_at(where: str) -> Folder:
    """The files of a store that are not arrays."""
    return (
        RemoteFolder(f"{where}/checkpoints")
        if is_remote(where)
        else LocalFolder(Path(where) / "checkpoints", root=Path(where))
    )


def zarr_store(where: str) -> Any:
    """The same place as Zarr takes it.

    Raises
    ------
    MissingExtraError
    StoreError
        If Zarr cannot write there.
    """
    _check_extra()
    from zarr.storage import FsspecStore

    from gexcore.store.local import LinklessStore

    if not is_remote(where):
        return LinklessStore(where)
    try:
        return FsspecStore.from_url(where)
    except Exception as error:  # each file system raises errors of its own
        raise _no_store(where, error) from error


def check_place(where: str) -> None:
    """Refuse a place with other files, and a folder whose parts lead out of it.

    Raises
    ------
    StoreError, StoreMismatchError
    """
    if is_remote(where):
        import fsspec

        files, path = fsspec.core.url_to_fs(where)
        _check_empty(
            where,
            {name.rpartition("/")[2] for name in files.ls(path, detail=False)}
            if files.exists(path)
            else set(),
        )
        return
    root = Path(where)
    if root.exists() and not root.is_dir():
        raise StoreError(f"{where} is a file; store= names a folder")
    _check_empty(where, set(os.listdir(root)) if root.exists() else set())
    links = [
        path
        for folder, *names in os.walk(root)
        for path in (Path(folder, name) for name in chain(*names))
        if path.is_symlink()
    ]
    if links:
        raise StoreError(
            f"{links[0]} is a link, and a store must not lead out of its folder; put what it "
            "links to there"
        )


def _check_empty(where: str, names: set[str]) -> None:
    # the folder of records is made first, and a run may have been killed in its next write
    names = {name for name in names if not name.endswith(PARTIAL)}
    if names - {"checkpoints"} and "zarr.json" not in names:
        raise StoreMismatchError(
            f"{where} is not empty and holds no run of gexcore; choose another store"
        )


@contextlib.contextmanager
def in_one_sentence(where: str) -> Iterator[None]:
    """Turn an error of the operating system into one sentence.

    Raises
    ------
    StoreError
    """
    try:
        yield
    except GexError:
        raise
    except OSError as error:
        reason = error.strerror or f"{type(error).__name__}: {error}"
        msg = (
            f"{where} cannot be read or written ({reason}); what was stored before is safe: make "
            "room or give access, then run the same again"
        )
        raise StoreError(msg) from error
