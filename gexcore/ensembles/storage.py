"""What remembers a run, and how it is opened."""

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
    """What the chains of a run depend on.

    Parameters
    ----------
    opened : Opened
        The model and data, with the optimiser of the members.
    plan : Plan
    controller : Controller
    keep : int
        Member states that each chain hands back.
    tests : bool
        Whether members are scored on the test data during the run.
    chance_loss : float or None
        As the user gave it.
    """

    opened: Opened
    plan: Plan
    controller: AnyController
    keep: int
    tests: bool
    chance_loss: float | None


class Storage(Protocol):
    """What remembers a run."""

    def base(
        self, measure: Callable[[], NDArray[Any]], seen: FirstLook, tests: int | None
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
"""Opens the storage of a run; see `gexcore.store.stored_at`."""


def not_stored(run: Identity) -> AbstractContextManager[Storage]:
    """The storage of a run that nobody wants to go on with."""
    return nullcontext(NotStored())
