"""Suspicion: the mean clipped loss over members, as one more view of their table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gexcore.deviations.table import LossTable, by_parts, cached_parts
from gexcore.deviations.uncertainty import (
    ENOUGH,
    RowBlocks,
    agreement_above,
    jackknife,
    mean_over_members,
    member_groups,
    split_half,
)
from gexcore.errors import InvalidSettingError


@dataclass(frozen=True, eq=False)
class Suspicion:
    """Mean over members of min(loss, clip), in units of the loss; high = probably mislabelled.

    With fewer than eight members, θ* takes the places of the missing ones. A few members alone are
    worse than plain loss.

    Parameters
    ----------
    table : LossTable
        Raw losses of members and of θ*.
    clip : float
        Clip of the losses.

    Raises
    ------
    InvalidSettingError
        If the clip is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.deviations.table import LossTable
    >>> from gexcore.influence.suspicion import Suspicion
    >>> losses = np.tile([[0.1, 9.0]], (8, 1))
    >>> table = LossTable(losses, np.zeros(2), np.arange(8))
    >>> Suspicion(table, clip=3.0).scores()
    array([0.1, 3. ])
    """

    table: LossTable
    clip: float

    def __post_init__(self) -> None:
        if not self.clip > 0:
            raise InvalidSettingError(
                f"clip is {self.clip}, and must be positive; leave it out for the default"
            )

    def scores(self) -> NDArray[np.float64]:
        """The mean of each sample, shape (samples,), or its loss at θ* if no member saw it."""

        def score(part: slice) -> NDArray[np.float64]:
            mean = mean_over_members(self._rows(part), part.stop - part.start)
            base = np.minimum(self.table.base_losses[part], self.clip)
            return np.asarray(np.where(np.isnan(mean), base, mean))

        return by_parts(len(self.table), self.table.samples, score)

    def standard_error(self) -> NDArray[np.float64]:
        """Standard error of each mean over chains, shape (samples,)."""
        groups = member_groups(self.table.chains)

        def score(part: slice) -> NDArray[np.float64]:
            return jackknife(self._rows(part), groups, part.stop - part.start)

        return by_parts(len(self.table), self.table.samples, score)

    def reliability(self) -> float:
        """Expected correlation with another run, by `gexcore.deviations.uncertainty.split_half`."""
        return split_half(self._blocks(), self.table.chains)

    def agreement_above(self, cut: float) -> float:
        """Agreement of two halves of the chains on the samples above a cut, from 0 to 1."""
        return agreement_above(self._blocks(), self.table.chains, cut=cut)

    def _rows(self, part: slice) -> Iterator[NDArray[np.float64]]:
        """The clipped losses of each member."""
        share = max(0, ENOUGH - len(self.table)) / ENOUGH
        base = self.table.base_losses[part].astype(np.float64)
        own = share * np.minimum(base, self.clip)
        for row in self.table.losses[:, part]:
            yield (1 - share) * np.minimum(row.astype(np.float64), self.clip) + own

    def _blocks(self) -> RowBlocks:
        parts = cached_parts(len(self.table), self.table.samples)
        return ((part, self._rows(part)) for part in parts)
