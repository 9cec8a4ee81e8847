"""The artefact of a run: raw losses of members, and of θ* measured in the same way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.deviations import deviations


@dataclass(frozen=True)
class LossTable:
    """Losses [members × samples]; every influence is a view of it.

    Parameters
    ----------
    losses : array, shape (members, samples)
        NaN where a member did not see the sample.
    base_losses : array, shape (samples,)
        At θ*.
    chains : integer array, shape (members,)
        The chain each member is from; members of one chain are not independent.
    weights : array, shape (members,), optional
        Of each member in the mean; may be negative. Equal where not given.
    """

    losses: NDArray[Any]
    base_losses: NDArray[Any]
    chains: NDArray[np.intp]
    weights: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.losses)

    def rows(self, floor: float) -> Iterator[tuple[NDArray[np.float64], float]]:
        """Deviations and weight of each member, one at a time: no second table in memory."""
        base = self.base_losses.astype(np.float64)
        for member, losses in enumerate(self.losses):
            row = deviations(losses[None, :].astype(np.float64), base, floor=floor)[0]
            yield row, 1.0 if self.weights is None else float(self.weights[member])

    def block(self, start: int, stop: int, floor: float) -> NDArray[np.float64]:
        """Deviations of the samples start … stop − 1, shape (members, stop − start)."""
        part = slice(start, stop)
        return np.asarray(
            deviations(self.losses[:, part].astype(np.float64), self.base_losses[part].astype(np.float64), floor=floor)
        )

    def select(self, members: Any) -> LossTable:
        """The table of some members only."""
        weights = None if self.weights is None else self.weights[members]
        return LossTable(self.losses[members], self.base_losses, self.chains[members], weights)
