"""The score of samples with several labels: the odds of the label that is most probably wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.protocols import Floats
from gexcore.deviations.blocks import cached_parts
from gexcore.deviations.table import LossTable
from gexcore.deviations.uncertainty import mean_over_members
from gexcore.influence.suspicion import Suspicion
from gexcore.influence.transition import TINY, offsets_by_class

TRAINED = 1 / 3
"""Share of θ* in the log odds of each label. It knows what members forgot."""


@dataclass(frozen=True, eq=False, kw_only=True)
class WorstLabel(Suspicion):
    """The largest log (1 + odds) of a wrong label among the labels of a sample, in nats.

    Each label is a problem of two classes. Its log odds are log (1 − p) − log p, plus the offset of
    its confusions (`gexcore.influence.transition.offsets_by_class`). They are averaged: two thirds
    of the members' and one third of those of θ*.

    Parameters
    ----------
    table : LossTable
        −log of the probability of each label, of shape (groups, samples · labels). A group is the
        mean over the kept members of one chain. The labels of a sample are neighbours.
    labels : boolean array, shape (samples, labels)
        Given labels.
    share : float
        Share of the members' mean that θ* takes, in the places of members that are missing.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.deviations.table import LossTable
    >>> from gexcore.influence.several import WorstLabel
    >>> p = np.array([[0.9, 0.9], [0.9, 0.2]])
    >>> losses = -np.log(p.ravel())
    >>> table = LossTable(np.stack([losses, losses]), losses, np.arange(2))
    >>> WorstLabel(table=table, labels=np.ones((2, 2), bool)).scores().round(3)
    array([0.107, 1.622])
    """

    labels: NDArray[np.bool_]
    share: float = 0.0

    def scores(self) -> NDArray[np.float64]:
        """The score of each sample, shape (samples,)."""
        return super().scores()[:: self.labels.shape[1]]

    def standard_error(self) -> NDArray[np.float64]:
        """The error of each score, shape (samples,), by leaving out one chain at a time."""
        return super().standard_error()[:: self.labels.shape[1]]

    def parts(self) -> NDArray[np.float64]:
        """log (1 + odds) of a wrong label, shape (samples, labels)."""
        every = slice(0, self.table.samples)
        mean = self._mean(np.ones(len(self.table), bool))
        return np.logaddexp(0.0, self._odds(every, mean)).reshape(self.labels.shape)

    def _of_losses(self, losses: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp(-losses)

    def _of_means(self, part: slice, means: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._worst(self._odds(part, means))

    def _of_means_without(self, part: slice, means: NDArray[np.float64]) -> NDArray[np.float64]:
        if len(means) != len(self._without):
            return self._of_means(part, means)
        return self._worst(self._odds(part, means, self._without[:, part]))

    def _odds(
        self, part: slice, means: NDArray[np.float64], offsets: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        trained = log_odds(self._of_losses(self._base(part)))
        known = self._offsets[part] if offsets is None else offsets
        return (1 - TRAINED) * log_odds(means) + TRAINED * trained + known

    def _worst(self, odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """The score of its sample for each label, in the shape of `odds`."""
        count = self.labels.shape[1]
        largest = odds.reshape(*odds.shape[:-1], -1, count).max(axis=-1)
        return np.repeat(np.logaddexp(0.0, largest), count, axis=-1)

    @cached_property
    def _offsets(self) -> NDArray[np.float64]:
        return self._confusions(self._mean(np.ones(len(self.table), bool)))

    @cached_property
    def _without(self) -> NDArray[np.float64]:
        """The offsets without each group, shape (groups, samples · labels)."""
        groups = np.arange(len(self.table))
        return np.array([self._confusions(self._mean(groups != group)) for group in groups])

    def _mean(self, groups: NDArray[np.bool_]) -> NDArray[np.float64]:
        every = slice(0, self.table.samples)
        kept = (row for row, chosen in zip(self._rows(every), groups, strict=True) if chosen)
        mean = mean_over_members(kept, self.table.samples)
        return np.where(np.isnan(mean), self._of_losses(self._base(every)), mean)

    def _confusions(self, mean: NDArray[np.float64]) -> NDArray[np.float64]:
        trained = self._of_losses(self._base(slice(0, self.table.samples)))
        given = ((1 - TRAINED) * mean + TRAINED * trained).reshape(self.labels.shape)
        columns = zip(self.labels.T.astype(np.intp), given.T, strict=True)
        return np.stack([offsets_by_class(y, p, 2) for y, p in columns], axis=1).ravel()

    @property
    def _share(self) -> float:
        return self.share

    def _slices(self) -> Iterable[slice]:
        samples, count = self.labels.shape
        for part in cached_parts(len(self.table) * count, samples):
            yield slice(part.start * count, part.stop * count)


def log_odds(p: Floats) -> Floats:
    """log (1 − p) − log p, finite also for 0 and 1."""
    within = np.clip(p, TINY, 1 - TINY)
    return np.asarray(np.log1p(-within) - np.log(within))


def table_of_groups(
    groups: NDArray[np.float64], trained: NDArray[np.float64], *, related: bool
) -> LossTable:
    """The table of `WorstLabel` from probabilities of labels.

    Parameters
    ----------
    groups : array, shape (groups, samples, labels)
    trained : array, shape (samples, labels)
    related : bool
        Whether the groups are parts of one chain.
    """
    count = len(groups)
    with np.errstate(divide="ignore"):
        losses = -np.log(groups.reshape(count, -1))
        base = -np.log(trained.ravel())
    return LossTable(losses, base, np.zeros(count, np.intp) if related else np.arange(count))
