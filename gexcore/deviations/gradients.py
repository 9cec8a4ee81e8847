"""Tables of gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import require
from gexcore.backend.data import to_numpy
from gexcore.backend.protocols import Backend, Dataset, Floats, Indices, SupportsSampleGradients
from gexcore.deviations import equation as dv
from gexcore.deviations.blocks import Blocks, block_size
from gexcore.deviations.ranking import Top, strongest
from gexcore.evaluation.derivatives import GRADIENT_BUDGET
from gexcore.evaluation.losses import in_order


@dataclass(frozen=True, eq=False)
class GradientTable:
    """Deviations that are the coordinates of each sample's gradient at several states.

    The gradients are computed anew in every call, because states × p rows do not fit into memory.
    Their mean product is the mean over states of g'·g.

    Parameters
    ----------
    states : sequence of State
    data : Dataset
    size : int
        Number of trainable parameters p.
    batch_size : int
        The most gradients in memory at a time. A large model holds fewer.
    squares : array, shape (samples,), optional
        Self-influence, if it is already known.
    """

    backend: Backend[Any, Any]
    states: Sequence[Any]
    data: Dataset[Any]
    size: int
    batch_size: int
    squares: Floats | None = None

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.data)

    @property
    def step(self) -> int:
        """Number of gradients in memory at a time."""
        return min(self.batch_size, max(1, GRADIENT_BUDGET // self.size))

    def __len__(self) -> int:
        return len(self.states) * self.size

    def block(self, start: int, stop: int, /) -> Floats:
        """√p times the gradients of samples start … stop − 1, shape (states · p, stop − start)."""
        parts = [
            np.concatenate([g for _, g in self.gradients(state, start, stop)])
            for state in self.states
        ]
        return np.asarray(np.sqrt(self.size) * np.concatenate([part.T for part in parts]))

    def self_influence(self) -> Floats:
        """Mean over states of ‖g‖², shape (samples,)."""
        return self._squares().copy() if self.squares is None else self.squares.copy()

    def measured(self, on_batch: Callable[[], object] = lambda: None) -> GradientTable:
        """The same table with known self-influence, from one pass over the data."""
        return self if self.squares is not None else replace(self, squares=self._squares(on_batch))

    def _squares(self, on_batch: Callable[[], object] = lambda: None) -> Floats:
        total = np.zeros(self.samples)
        for indices in in_order(self.samples, self.step):
            batch = self.data.batch(indices)
            for state in self.states:
                gradients = self._gradients(state, batch)
                total[indices] += np.einsum("np,np->n", gradients, gradients)
                on_batch()
        return total / len(self.states)

    def standard_error(self) -> Floats:
        """NaN, shape (samples,): checkpoints are no random draws."""
        return np.full(self.samples, np.nan)

    def reliability(self) -> float:
        """NaN: checkpoints are no random draws."""
        return math.nan

    def group_cross(self, tests: GradientTable, codes: NDArray[np.intp], count: int, /) -> Floats:
        """Mean over states of g'·g, summed over each group, shape (tests, count)."""
        total = np.zeros((tests.samples, count))
        for part, block in self.cross(tests):
            total += dv.group_deviations(block, codes[part], count)
        return total

    def top(self, tests: GradientTable, k: int, /) -> Top:
        """The `k` samples with the strongest mean g'·g for each sample of `tests`."""
        return strongest(self.cross(tests), k)

    def cross(self, tests: GradientTable, /, *, size: int | None = None) -> Blocks:
        """Mean over states of g'·g, `size` samples at a time."""
        size = block_size(tests.samples) if size is None else size
        held = max(1, GRADIENT_BUDGET // self.size)
        for start in range(0, self.samples, size):
            stop = min(start + size, self.samples)
            found = np.zeros((tests.samples, stop - start))
            for state in self.states:
                for first in range(0, tests.samples, held):
                    rows = slice(first, min(first + held, tests.samples))
                    given = np.concatenate(
                        [g for _, g in tests.gradients(state, rows.start, rows.stop)]
                    )
                    for columns, gradients in self.gradients(state, start, stop):
                        found[rows, columns - start] += given @ gradients.T
            yield slice(start, stop), found / len(self.states)

    def gradients(self, state: Any, start: int, stop: int) -> Iterator[tuple[Indices, Floats]]:
        """Positions and gradients, shape (b, p), of the samples start … stop − 1."""
        for first in range(start, stop, self.step):
            indices = np.arange(first, min(first + self.step, stop))
            yield indices, self._gradients(state, self.data.batch(indices))

    def _gradients(self, state: Any, batch: Any) -> Floats:
        able = require(self.backend, SupportsSampleGradients, by="a table of gradients")
        return to_numpy(able.sample_gradients(state, batch)).astype(np.float64)
