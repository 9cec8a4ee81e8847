"""Files that a model was built from, so that an unchanged one need not be built again."""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_open_events: list[tuple[int, list[str]]] = []
"""The thread and the paths of each watch in progress."""


@contextmanager
def watched() -> Iterator[list[str]]:
    """Collect the paths that this thread opens for reading.

    Other threads, such as those of a library, do not build the model.
    """
    _install()
    paths: list[str] = []
    watch = threading.get_ident(), paths
    _open_events.append(watch)
    try:
        yield paths
    finally:
        _open_events.remove(watch)


def state_of(paths: list[str]) -> dict[str, list[int]]:
    """Size and time of change of every file in the folders of these files.

    Weights are often read by a library without Python. They mostly lie beside a file that Python
    reads. Files of Python itself and of installed packages do not count. In the folder of temporary
    files, which all programs share, only the files themselves count.
    """
    read = {Path(_source(path)).absolute() for path in paths}
    shared = Path(tempfile.gettempdir()).absolute()
    found = {}
    for folder in {path.parent for path in read}:
        if folder.is_dir() and not _is_installed(folder):
            for file in read if folder == shared else folder.iterdir():
                if file.parent == folder and file.is_file():
                    told = file.stat()
                    found[str(file)] = [told.st_size, told.st_mtime_ns]
    return dict(sorted(found.items()))


def is_unchanged(state: Any) -> bool:
    """Whether the folders of an earlier build hold the same files."""
    return isinstance(state, dict) and bool(state) and state_of(list(state)) == state


def _source(path: str) -> str:
    try:
        return importlib.util.source_from_cache(path)
    except ValueError:
        return path


def _is_installed(folder: Path) -> bool:
    places = {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), "/proc", "/sys", "/dev"}
    places.add(str(Path(__file__).parents[1]))
    return "site-packages" in folder.parts or any(folder.is_relative_to(p) for p in places)


def _install() -> None:
    if not getattr(sys, "_gexcore_watches", False):  # a hook cannot be removed
        sys._gexcore_watches = True  # type: ignore[attr-defined]
        sys.addaudithook(_on_event)


def _on_event(event: str, args: tuple[Any, ...]) -> None:
    if _open_events and event == "open" and isinstance(args[0], str | bytes | os.PathLike):
        mode, flags = args[1:3]
        by_number = isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))
        writes = not mode.startswith("r") if isinstance(mode, str) else by_number
        if not writes:
            for thread, paths in _open_events:
                if thread == threading.get_ident():
                    paths.append(os.fsdecode(args[0]))
