"""Storage: the memory of a run, and how it is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
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
    start : dict
        The settings of the first state of the chains. Empty for θ*.
    """

    opened: Opened
    plan: Plan
    controller: AnyController
    keep: int
    tests: bool
    chance_loss: float | None
    start: Mapping[str, Any] = MappingProxyType({})


class Found(NamedTuple):
    """The findings of a search before the chains.

    Parameters
    ----------
    scale : float
        Scale of the start state of the chains.
    lr : float
        Learning rate of the first chunk of each chain.
    limit : float
        Mean loss from which on a chunk has diverged.
    steps : int
        Optimiser steps of the search.
    left : bool
        Whether the search left chance.
    raised : bool
        Whether it did so only after the scale was raised.
    knew : bool
        Whether the start state knew the labels.
    """

    scale: float
    lr: float
    limit: float
    steps: int = 0
    left: bool = True
    raised: bool = False
    knew: bool = False


class Storage(Protocol):
    """The memory of a run."""

    def found(self, search: Callable[[], Found]) -> Found:
        """The findings of a search. It runs only if they are not stored yet."""
        ...

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

    def found(self, search: Callable[[], Found]) -> Found:
        """Search."""
        return search()

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
