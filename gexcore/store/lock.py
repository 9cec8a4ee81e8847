"""Locks: one writer at a time."""

from __future__ import annotations

import contextlib
import os
import platform
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from gexcore.backend.files import PART, write_whole
from gexcore.errors import InUseError, InvalidSettingError
from gexcore.store.folder import PARTIAL, Folder, is_remote

NAME = "writer"
"""The file that names the writer: its process, or a number of its own at a URL."""

LOCK = ".lock"


@contextlib.contextmanager
def only_writer(where: str, folder: Folder) -> Iterator[Callable[[], None]]:
    """Be the only writer of a store. The yielded check raises once that has changed.

    The operating system locks a local store. The lock ends with the process. A remote store has no
    locks. There the last writer continues, and the other one stops before its next commit.

    Raises
    ------
    InUseError
    """
    if not is_remote(where):
        with locked(Path(where) / "checkpoints", f"{where}", "another store"):
            for part in Path(where).rglob(f"*{PARTIAL}"):  # of a run that was killed
                part.unlink()
            yield lambda: None
        return
    mine = uuid.uuid4().hex.encode()
    folder.write(NAME, mine)

    def check() -> None:
        if folder.read(NAME) != mine:
            raise InUseError(
                f"another run has begun to write to {where}; this one stops: what it stored is safe"
            )

    yield check


@contextlib.contextmanager
def locked(folder: Path, what: str, instead: str) -> Iterator[None]:
    """Hold the lock of an existing folder; its file is gone afterwards, unless the process dies.

    Parameters
    ----------
    folder : Path
    what, instead : str
        What is written to, and what can be chosen in its place, for the error.

    Raises
    ------
    InUseError
        Where another holds it. Nothing was touched then.
    InvalidSettingError
        Where its file is a link.
    """
    lock, by, link = FileLock(folder / LOCK), folder / NAME, folder.is_symlink()
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        try:
            told = by.read_text(encoding="utf-8", errors="replace") or "another run"
        except OSError:
            told = "another run"
        raise InUseError(
            f"{what} is being written to by {told}; wait until it ends, or choose {instead}"
        ) from error
    except OSError as error:
        if not (folder / LOCK).is_symlink():
            raise
        raise InvalidSettingError(
            f"{folder / LOCK} is a link, and a lock must be a file; delete it, then run the same "
            "again"
        ) from error
    try:
        for part in folder.glob(f".*{PART}"):  # of a run that was killed
            part.unlink()
        write_whole(by, f"process {os.getpid()} on {platform.node()}".encode())
        yield
    finally:
        # while the lock is held: who opened the file before sees that it is gone and makes another
        # a link that was put in the folder's place meanwhile leads to somebody else's files
        for path in (by, folder / LOCK) if folder.is_symlink() == link else ():
            with contextlib.suppress(OSError):
                path.unlink()
        lock.release()
