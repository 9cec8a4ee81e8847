"""Steps along one chain: its state, and the training batches that are still to come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import require, supports
from gexcore.backend.protocols import (
    Array,
    Backend,
    Dataset,
    Indices,
    SupportsAugmentation,
    SupportsDonation,
    SupportsParams,
)
from gexcore.ensembles.plan import Plan, Schedule
from gexcore.ensembles.start import Begin
from gexcore.evaluation.losses import checked, gather


class Trail(NamedTuple):
    """The training batches of one chunk and their losses.

    Parameters
    ----------
    indices : list of integer arrays, one per step
    losses : list of arrays, one per step
        Losses in training mode before each step. Empty if the backend does not return them.
    """

    indices: list[Indices]
    losses: list[Array]

    def and_then(self, later: Trail) -> Trail:
        """The batches of this trail and of a later one."""
        return Trail(self.indices + later.indices, self.losses + later.losses)

    def later_half(self) -> tuple[Indices, NDArray[Any]]:
        """Positions and losses of the second half of the steps, where the chunk shows."""
        half = len(self.indices) // 2
        return np.concatenate(self.indices[half:]), gather(self.losses[half:])

    def all(self) -> tuple[Indices, NDArray[Any]]:
        """Positions and losses of every step."""
        return np.concatenate(self.indices), gather(self.losses)


def training_batches(train: Dataset[Any]) -> Callable[[Indices, int], Any]:
    """A function from positions and a seed to training samples, augmented if the dataset can."""
    if supports(train, SupportsAugmentation):
        augmented = train.augmented
        return lambda indices, seed: augmented(indices, seed=seed)
    return lambda indices, seed: train.batch(indices)


class Stepper:
    """Optimiser steps from a first state, θ* by default, on the training batches of one chain.

    The state is stepped in place if the backend can. The stepper never shares its state.

    Parameters
    ----------
    done : int
        Number of earlier steps of the chain, which led to `state`.
    begin : callable, optional
        Makes the first state. `Backend.initial_state` by default.
    refresh : callable, optional
        Makes the statistics that members share, where the plan says so, from a state.
    """

    def __init__(
        self,
        backend: Backend[Any, Any],
        train: Dataset[Any],
        plan: Plan,
        chain: int,
        *,
        done: int = 0,
        state: Any = None,
        begin: Begin | None = None,
        refresh: Callable[[Any], Any] = lambda state: state,
    ) -> None:
        self._backend = backend
        self._batch = training_batches(train)
        self._order = plan.order(len(train), chain)
        shares = plan.shares_statistics
        self._able = require(backend, SupportsParams, by="an anchor") if shares else None
        self._refresh = refresh
        self._owner = backend if supports(backend, SupportsDonation) else None
        for _ in range(done):
            next(self._order)
        self._begin = begin or backend.initial_state
        self.state = self.snapshot(state if done else self._begin())
        self._before = self.state

    def advance(self, schedule: Schedule, steps: int) -> Trail:
        """Take one chunk of steps."""
        self._before = self.snapshot(self.state)
        trail = Trail([], [])
        for step in range(steps):
            indices, seed = next(self._order)
            batch = self._batch(indices, seed)
            trail.indices.append(indices)
            if self._owner is not None:
                self.state, losses = self._owner.sgd_step_(
                    self.state, batch, lr=schedule(step), seed=seed
                )
                trail.losses.append(checked(losses, len(indices)))
            else:
                self.state = self._backend.sgd_step(self.state, batch, lr=schedule(step), seed=seed)
        return trail

    def follow(self, after: str) -> None:
        """What a controller decided to do after a snapshot: reset, back, restart or nothing."""
        if after == "reset":
            self.reset()
        elif after == "back":
            self.back()
        elif after == "restart":
            self.restart()

    def reset(self) -> None:
        """Return to the first state with a fresh optimiser. The order of batches continues."""
        self.state = self.snapshot(self._shared(self._begin()))

    def back(self) -> None:
        """Return to the start of the last chunk with a fresh optimiser. Batches continue."""
        self.state = self.snapshot(self._backend.restart(self._before))

    def restart(self) -> None:
        """Keep the parameters and take a fresh optimiser."""
        self.state = self._backend.restart(self._shared(self.state))

    @property
    def member(self) -> Any:
        """The state that is scored: with the statistics of the chunk's start if it shares them."""
        if self._able is None:
            return self.state
        return self._able.unravel(self._before, self._able.ravel(self.state))

    def _shared(self, state: Any) -> Any:
        return state if self._able is None else self.snapshot(self._refresh(state))

    def snapshot(self, state: Any) -> Any:
        """A copy of a state that no later step changes."""
        return state if self._owner is None else self._owner.copy(state)
