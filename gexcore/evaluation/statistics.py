"""Statistics of normalisation layers, estimated anew for each state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gexcore.backend.capabilities import supports
from gexcore.backend.protocols import (
    Backend,
    Dataset,
    SupportsBufferRefresh,
)

REFRESH_BATCHES = 8
REFRESH_BATCH_SIZE = 128


class Refresher:
    """Statistics of a state, estimated anew from a fixed random part of the training data.

    Members and θ* use the same part, so that both share the noise of the estimate. A model without
    such statistics stays unchanged and costs nothing.

    Parameters
    ----------
    backend : Backend
    data : Dataset
    seed : int
    members : bool
        Whether members need new statistics. Some have those of the point that they start from.
    """

    def __init__(
        self, backend: Backend[Any, Any], data: Dataset[Any], *, seed: int, members: bool = True
    ) -> None:
        self._data = data
        self._members = members
        self._able = backend if supports(backend, SupportsBufferRefresh) else None
        self.active = self._able is not None
        order = np.random.default_rng([seed, 0xB4]).permutation(len(data))
        size = max(1, min(REFRESH_BATCH_SIZE, len(data)))
        self._batches = [order[i : i + size] for i in range(0, len(order) - size + 1, size)][
            :REFRESH_BATCHES
        ]
        self.samples = sum(map(len, self._batches)) if self.active else 0

    def __call__(self, state: Any) -> Any:
        return self.many([state])[0]

    def of_members(self, states: Sequence[Any]) -> list[Any]:
        """The states of members as they are to be evaluated."""
        return self.many(states) if self._members else list(states)

    def many(self, states: Sequence[Any]) -> list[Any]:
        """The states with refreshed statistics. Batches are made once for all states."""
        if self._able is None:
            return list(states)
        batches = [self._data.batch(indices) for indices in self._batches]
        return [self._able.refresh_buffers(state, batches) for state in states]
