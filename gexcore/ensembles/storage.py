"""What remembers a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from numpy.typing import NDArray

from gexcore.ensembles.chain import Position
from gexcore.evaluation.first_look import Intake


class Storage(Protocol):
    """What remembers a run."""

    def base(
        self, measure: Callable[[], NDArray[Any]], seen: Intake, tests: int | None
    ) -> NDArray[Any]:
        """The losses of θ* by the scorer of the run."""
        ...

    def position(self, chain: int) -> Position | None:
        """Where a chain stands; None if it is unknown."""
        ...

    def save(self, position: Position) -> None:
        """Remember where a chain stands."""
        ...


class NotStored:
    """Remembers nothing."""

    def base(
        self, measure: Callable[[], NDArray[Any]], seen: Intake, tests: int | None
    ) -> NDArray[Any]:
        """Measure the losses."""
        return measure()

    def position(self, chain: int) -> Position | None:
        """No position is known."""
        return None

    def save(self, position: Position) -> None:
        """Do nothing."""
