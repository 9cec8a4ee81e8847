"""Progress on standard error: a bar in a terminal or a notebook, lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

SECONDS = 10.0
"""The least time between two lines of progress."""


class Bar(Protocol):
    """A count of finished units of work."""

    def advance(self, note: str, by: int = 1) -> None:
        """Count `by` more units. `note` is shown behind the bar."""
        ...


class _Silent:
    def advance(self, note: str, by: int = 1) -> None:
        """Show nothing."""


class _Tqdm:
    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def advance(self, note: str, by: int = 1) -> None:
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(by)


class _Lines:
    """A line now and then, for a file: it holds no line that is drawn over."""

    def __init__(self, total: int, title: str, unit: str) -> None:
        self._total, self._title, self._unit = total, title, unit
        self._done, self._told = 0, time.monotonic()

    def advance(self, note: str, by: int = 1) -> None:
        self._done += by
        if time.monotonic() < self._told + SECONDS:
            return
        self._told = time.monotonic()
        behind = f", {note}" if note else ""
        told = f"{self._title}: {self._unit} {self._done} of {self._total}{behind}"
        print(told, file=sys.stderr, flush=True)


@contextmanager
def progress_bar(total: int, *, title: str, show: bool, unit: str = "snapshot") -> Iterator[Bar]:
    """A bar over `total` units, with an estimate of the time left.

    Where standard error is no terminal and no notebook, it is a line every ten seconds.
    """
    if not show:
        yield _Silent()
        return
    from tqdm.auto import tqdm
    from tqdm.notebook import tqdm_notebook

    if not (issubclass(tqdm, tqdm_notebook) or sys.stderr.isatty()):
        yield _Lines(total, title, unit)
        return
    with tqdm(total=total, desc=title, unit=unit, leave=False) as bar:
        yield _Tqdm(bar)
