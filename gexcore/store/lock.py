"""Locks: one writer at a time."""

from __future__ import annotations

import contextlib
import os
import platform
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from gexcore.errors import StoreError
from gexcore.store.folder import Folder, is_remote

NAME = "writer"


@contextlib.contextmanager
def only_writer(where: str, folder: Folder) -> Iterator[Callable[[], None]]:
    """Be the only writer of a store. The yielded check raises once that has changed.

    The operating system locks a local store. The lock ends with the process. A remote store has no
    locks. There the last writer continues, and the other one stops before its next commit.

    Raises
    ------
    StoreError
    """
    if not is_remote(where):
        with _locked(where, Path(where) / "checkpoints" / NAME):
            yield lambda: None
        return
    mine = uuid.uuid4().hex.encode()
    folder.write(NAME, mine)

    def check() -> None:
        if folder.read(NAME) != mine:
            raise StoreError(
                f"another run has begun to write to {where}; this one stops: what it stored is safe"
            )

    yield check


@contextlib.contextmanager
def _locked(where: str, path: Path) -> Iterator[None]:
    with path.open("a+b") as file:
        try:
            _lock(file.fileno())
        except OSError as error:
            file.seek(0)
            by = file.read().decode(errors="replace") or "another run"
            msg = (
                f"{where} is being written to by {by}; wait until it ends, or choose another store"
            )
            raise StoreError(msg) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}".encode())
        file.flush()
        yield


def _lock(handle: int) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        # far beyond the text, so that others can read the text
        os.lseek(handle, 1 << 20, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    else:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
