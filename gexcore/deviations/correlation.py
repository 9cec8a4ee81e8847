"""Pearson's correlation from running sums."""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray


class Correlation(NamedTuple):
    """Running sums of the correlation of pairs of numbers.

    The first pair is subtracted from all pairs. Equal numbers then have a sum of squares of exactly
    zero.

    Parameters
    ----------
    pairs : int
    origin, mean : array, shape (2,)
        The first pair, and the mean minus the first pair.
    scatter : array, shape (2, 2)
        Sums of products of deviations from the mean.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.deviations.correlation import Correlation
    >>> first = Correlation().update(np.array([0.1, 0.4]), np.array([1.0, 2.0]))
    >>> round(first.update(np.array([0.8]), np.array([9.0])).correlation(), 3)
    0.947
    """

    pairs: int = 0
    origin: NDArray[np.float64] = np.zeros(2)
    mean: NDArray[np.float64] = np.zeros(2)
    scatter: NDArray[np.float64] = np.zeros((2, 2))

    def update(self, one: NDArray[np.float64], other: NDArray[np.float64]) -> Self:
        """The sums with these pairs added (Chan, Golub & LeVeque 1983)."""
        if not len(one):
            return self
        block = np.stack([one, other])
        origin = self.origin if self.pairs else block[:, 0].copy()
        block -= origin[:, None]
        mean = block.mean(axis=1)
        block -= mean[:, None]
        pairs, step = self.pairs + len(one), mean - self.mean
        between = self.pairs * len(one) / pairs * np.outer(step, step)
        return self._replace(
            pairs=pairs,
            origin=origin,
            mean=self.mean + step * (len(one) / pairs),
            scatter=self.scatter + block @ block.T + between,
        )

    def correlation(self) -> float:
        """Pearson's r; NaN for fewer than two pairs, or a column of equal numbers."""
        scale = math.sqrt(self.scatter[0, 0]) * math.sqrt(self.scatter[1, 1])
        return float(self.scatter[0, 1] / scale) if scale else math.nan
