"""Storage: the memory of a run, and how it is opened."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from gexcore.ensembles.chain import Position
from gexcore.ensembles.plan import Plan
from gexcore.ensembles.thermostat import AnyController
from gexcore.evaluation.first_look import FirstLook
from gexcore.evaluation.opening import Opened


class Identity(NamedTuple):
    """All that the chains of a run depend on.

    Parameters
    ----------
    opened : Opened
        The model and data, with the optimiser of the members.
    plan : Plan
    controller : Controller
    keep : int
        Number of member states that each chain returns.
    tests : bool
        Whether members are scored on the test data during the run.
    chance_loss : float or None
        Chance loss as the user gave it.
    """

    opened: Opened
    plan: Plan
    controller: AnyController
    keep: int
    tests: bool
    chance_loss: float | None


class Storage(Protocol):
    """The memory of a run."""

    def base(
        self, measure: Callable[[], NDArray[Any]], seen: FirstLook, tests: int | None
    ) -> NDArray[Any]:
        """The losses of θ* by the scorer of the run."""
        ...

    def position(self, chain: int) -> Position | None:
        """The position of a chain. None if it is unknown."""
        ...

    def save(self, position: Position) -> None:
        """Store the position of a chain."""
        ...


class NotStored:
    """A storage that stores nothing."""

    def base(
        self, measure: Callable[[], NDArray[Any]], seen: FirstLook, tests: int | None
    ) -> NDArray[Any]:
        """Measure the losses."""
        return measure()

    def position(self, chain: int) -> Position | None:
        """No position is known."""
        return None

    def save(self, position: Position) -> None:
        """Do nothing."""


Store = Callable[[Identity], AbstractContextManager[Storage]]
"""A function that opens the storage of a run, such as `gexcore.store.stored_at`."""


def not_stored(run: Identity) -> AbstractContextManager[Storage]:
    """The storage of a run without a store."""
    return nullcontext(NotStored())
