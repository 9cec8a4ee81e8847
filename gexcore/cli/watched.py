"""Files that a model was built from, so that an unchanged one need not be built again."""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_open_events: list[list[str]] = []
"""One list of paths for each watch in progress."""


@contextmanager
def watched() -> Iterator[list[str]]:
    """Collect the paths that Python opens for reading."""
    _install()
    paths: list[str] = []
    _open_events.append(paths)
    try:
        yield paths
    finally:
        _open_events.remove(paths)


def state_of(paths: list[str]) -> dict[str, list[int]]:
    """Size and time of change of every file in the folders of these files.

    Weights are often read by a library without Python. They mostly lie beside a file that Python
    reads. Files of Python itself and of installed packages do not count.
    """
    folders = {Path(_source(path)).absolute().parent for path in paths}
    found = {}
    for folder in folders:
        if folder.is_dir() and not _is_installed(folder):
            for file in folder.iterdir():
                if file.is_file():
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
        writes = isinstance(args[1], str) and not args[1].startswith("r")
        if not writes:
            for paths in _open_events:
                paths.append(os.fsdecode(args[0]))
