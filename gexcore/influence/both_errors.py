"""The score of numbers: the size of the error of the members, and of the trained model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gexcore.influence.suspicion import ClippedLoss


@dataclass(frozen=True, eq=False)
class BothErrors(ClippedLoss):
    """The mean size of the error of members, and the error of θ*, added, in units of the target.

    The error is the root of the clipped loss. A model that has fitted its wrong targets has small
    errors, so its members decide. A model that has not fitted them has errors as large as those of
    its members.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.deviations.table import LossTable
    >>> from gexcore.influence.both_errors import BothErrors
    >>> losses = np.tile([[1.0, 4.0, 16.0]], (8, 1))
    >>> table = LossTable(losses, np.array([0.25, 0.25, 0.0]), np.arange(8))
    >>> BothErrors(table, clip=9.0).scores()
    array([1.5, 2.5, 3. ])
    """

    def _of_losses(self, losses: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.sqrt(np.minimum(losses, self.clip))

    def _of_means(self, part: slice, means: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(means + self._of_losses(self._base(part)))
