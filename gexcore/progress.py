"""Progress bars on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Bar(Protocol):
    """A count of finished units of work."""

    def advance(self, note: str, by: int = 1) -> None:
        """Count `by` more units. `note` is shown behind the bar."""
        ...


class _Tqdm:
    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def advance(self, note: str, by: int = 1) -> None:
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(by)


@contextmanager
def progress_bar(total: int, *, title: str, show: bool, unit: str = "snapshot") -> Iterator[Bar]:
    """A bar over `total` units, with an estimate of the time left."""
    from tqdm import tqdm

    bar: tqdm[Any] = tqdm(total=total, desc=title, unit=unit, disable=not show, leave=False)
    with bar:
        yield _Tqdm(bar)
