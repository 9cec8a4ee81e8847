"""Members near a state, seen through directional derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.data import as_dataset
from gexcore.backend.protocols import Backend
from gexcore.deviations.table import DeviationTable
from gexcore.evaluation.derivatives import directional, directional_passes
from gexcore.evaluation.passes import Passes, sum_passes


@dataclass(frozen=True, eq=False)
class Tangents:
    """Moves ψ − θ at each of several states θ.

    The deviation of a member is the derivative of the loss along its move.

    Parameters
    ----------
    states : sequence of State
    moves : array, shape (directions, p)
        Moves, the same at every state.
    chains : integer array, shape (states · directions,), optional
        Number of the independent draw of each member. Members of the first state come first. None
        if the moves are no draws.
    weights : array, shape (states · directions,), optional
        Weights of the members in the mean. Equal by default.
    """

    backend: Backend[Any, Any]
    states: Sequence[Any]
    moves: NDArray[Any]
    batch_size: int
    chains: NDArray[np.intp] | None = None
    weights: NDArray[np.float64] | None = None

    def evaluate(
        self, data: Any, /, *, on_batch: Callable[[], object] = lambda: None
    ) -> DeviationTable:
        """Deviations of every member on `data`."""
        dataset = as_dataset(data, self.backend)
        found = directional(
            self.backend,
            self.states,
            self.moves,
            dataset,
            batch_size=self.batch_size,
            on_batch=on_batch,
        )
        return DeviationTable(found, self.chains, self.weights)

    def passes(self, samples: int) -> Passes:
        """Passes of evaluating this many samples, and the moves held in memory."""
        one = directional_passes(
            self.backend, self.moves.shape, samples, batch_size=self.batch_size
        )
        return sum_passes([Passes(copies=len(self.moves)), *[one] * len(self.states)])


def isotropic(like: NDArray[Any], count: int, *, seed: int) -> NDArray[Any]:
    """Random standard normal moves q with E[q qᵀ] = I, shape (count, p).

    The mean over them equals the sum over a projection with entries N(0, 1/count).

    Parameters
    ----------
    like : array, shape (p,)
        Array whose precision the moves get.
    """
    rng = np.random.default_rng([seed, 0xD1])
    return rng.standard_normal((count, len(like)), dtype=like.dtype)
