"""Suspicion: how probably a label is wrong, as views of one table of losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gexcore.deviations.blocks import by_parts, cached_parts
from gexcore.deviations.halves import RowBlocks, agreement_above, split_half
from gexcore.deviations.table import LossTable
from gexcore.deviations.uncertainty import ENOUGH, jackknife, mean_over_members, member_groups
from gexcore.ensembles.plan import Plan
from gexcore.errors import InvalidSettingError
from gexcore.influence.transition import SHARE, TINY

Score = Literal[
    "confusion", "transition", "rival", "worst_label", "clipped_loss", "both_errors", "both_losses",
    "plain_loss",
]  # fmt: skip
"""Names of the scores of suspicion."""

SAID = {
    "confusion": "odds of a wrong label by confusions that doubts do not explain",
    "transition": "odds of a wrong label by all confusions of the data",
    "rival": "odds of the most probable other class",
    "worst_label": "odds of the most suspicious of several labels",
    "clipped_loss": "mean clipped loss",
    "both_errors": "size of the error of the members and of the trained model",
    "both_losses": "mean clipped loss and loss of the trained model, each by its median",
    "plain_loss": "loss of the trained model",
}
"""What each score is, in words."""

ENOUGH_RELEARNED = 2
"""Members that relearned of which a mean needs no more. Each is a whole epoch, far from θ*."""


def relearns(plan: Plan | None) -> bool:
    """Whether the members of a plan relearn the data: each is an epoch."""
    return plan is not None and plan.epoch_steps is not None


def enough_of(plan: Plan | None) -> int:
    """Number of members from which on a mean over them misses none."""
    return ENOUGH_RELEARNED if relearns(plan) else ENOUGH


@dataclass(frozen=True, eq=False)
class Suspicion(ABC):
    """A score that is a function of means over members.

    θ* takes the places of members that are missing. A few members alone are worse than plain loss.

    Parameters
    ----------
    table : LossTable
        Raw losses of members and of θ*.
    enough : int
        Number of members from which on none is missing.
    """

    table: LossTable
    enough: int = field(default=ENOUGH, kw_only=True)

    @abstractmethod
    def _of_losses(self, losses: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the mean is taken of."""

    @abstractmethod
    def _of_means(self, part: slice, means: NDArray[np.float64]) -> NDArray[np.float64]:
        """The score of means, of shape (…, samples of the part)."""

    def scores(self) -> NDArray[np.float64]:
        """The score of each sample, shape (samples,); that of θ* where no member saw it."""

        def score(part: slice) -> NDArray[np.float64]:
            mean = mean_over_members(self._rows(part), part.stop - part.start)
            base = self._of_losses(self._base(part))
            return self._of_means(part, np.where(np.isnan(mean), base, mean))

        return self._joined(score)

    def standard_error(self) -> NDArray[np.float64]:
        """The error of each score, shape (samples,), by leaving out one chain at a time."""
        groups = member_groups(self.table.chains)

        def score(part: slice) -> NDArray[np.float64]:
            return jackknife(
                self._rows(part),
                groups,
                part.stop - part.start,
                of=lambda means: self._of_means_without(part, means),
            )

        return self._joined(score)

    def reliability(self) -> float:
        """Expected correlation with another run: `gexcore.deviations.halves.split_half`."""
        return split_half(self._blocks(), self.table.chains, of=self._of_means)

    def agreement_above(self, cut: float) -> float:
        """How far two halves of the chains agree on the samples above a cut, from 0 to 1."""
        return agreement_above(self._blocks(), self.table.chains, cut=cut, of=self._of_means)

    def _of_means_without(self, part: slice, means: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores from means that each leave out one group of members, shape (groups, part)."""
        return self._of_means(part, means)

    @property
    def _share(self) -> float:
        """The share of θ* in the means: it takes the places of missing members."""
        return max(0, self.enough - len(self.table)) / self.enough

    def _base(self, part: slice) -> NDArray[np.float64]:
        return self.table.base_losses[part].astype(np.float64)

    def _rows(self, part: slice) -> Iterator[NDArray[np.float64]]:
        """The numbers of each member that the mean is taken of."""
        share = self._share
        own = share * self._of_losses(self._base(part))
        for row in self.table.losses[:, part]:
            yield (1 - share) * self._of_losses(row.astype(np.float64)) + own

    def _blocks(self) -> RowBlocks:
        return ((part, self._rows(part)) for part in self._slices())

    def _slices(self) -> Iterable[slice]:
        """All samples, in parts that fit into the cache."""
        return cached_parts(len(self.table), self.table.samples)

    def _joined(self, score: Callable[[slice], NDArray[np.float64]]) -> NDArray[np.float64]:
        found = np.empty(self.table.samples)
        for part in self._slices():
            found[part] = score(part)
        return found


@dataclass(frozen=True, eq=False)
class ClippedLoss(Suspicion):
    """Mean over members of min(loss, clip), in units of the loss; high = probably mislabelled.

    Parameters
    ----------
    clip : float
        Losses count up to this much.

    Raises
    ------
    InvalidSettingError
        For a clip that is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.deviations.table import LossTable
    >>> from gexcore.influence.suspicion import ClippedLoss
    >>> losses = np.tile([[0.1, 9.0]], (8, 1))
    >>> table = LossTable(losses, np.zeros(2), np.arange(8))
    >>> ClippedLoss(table, clip=3.0).scores()
    array([0.1, 3. ])
    """

    clip: float

    def __post_init__(self) -> None:
        if not self.clip > 0:
            raise InvalidSettingError(
                f"clip is {self.clip}, and must be positive; leave it out for the default"
            )

    def _of_losses(self, losses: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.minimum(losses, self.clip)

    def _of_means(self, part: slice, means: NDArray[np.float64]) -> NDArray[np.float64]:
        return means


@dataclass(frozen=True, eq=False)
class BothLosses(ClippedLoss):
    """The mean clipped loss of members and the clipped loss of θ*, each in units of its median.

    The sum is high where one of both is far above what is usual.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.deviations.table import LossTable
    >>> from gexcore.influence.suspicion import BothLosses
    >>> losses = np.tile([[2.0, 2.0, 6.0]], (8, 1))
    >>> table = LossTable(losses, np.array([0.5, 1.0, 1.0]), np.arange(8))
    >>> BothLosses(table, clip=9.0).scores()
    array([1.5, 2. , 4. ])
    """

    def _of_means(self, part: slice, means: NDArray[np.float64]) -> NDArray[np.float64]:
        members, trained = self._medians
        base = np.minimum(self._base(part), self.clip)
        return np.asarray(means / members + base / trained)

    @cached_property
    def _medians(self) -> tuple[float, float]:
        every = slice(0, self.table.samples)
        means = mean_over_members(self._rows(every), self.table.samples)
        base = np.minimum(self._base(every), self.clip)
        found = np.median(np.where(np.isnan(means), base, means)), np.median(base)
        return max(float(found[0]), TINY), max(float(found[1]), TINY)


@dataclass(frozen=True, eq=False)
class Odds(Suspicion):
    """log (1 + odds) of a wrong label, in nats; high = probably mislabelled.

    The probability p of the given class is a mean of exp(−loss): 0.9 of the members and 0.1 of θ*.
    With another power r it is the mean of exp(−r · loss) to the power 1 ÷ r. The log odds are
    log (1 − p) − log p, plus an offset for each sample. They rank labels; they are not calibrated.

    Parameters
    ----------
    offsets : array, shape (samples,)
        What is known of the other classes: see `gexcore.influence.transition`. Zero gives
        −log p.
    without : callable, optional
        It returns the offsets without the members of each chain, shape (chains, samples), for
        standard errors. If they are not known, standard errors take the offsets as certain.
    power : float
        The power r of the probabilities in the mean.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.deviations.table import LossTable
    >>> from gexcore.influence.suspicion import Odds
    >>> losses = np.full((8, 2), np.log(2.0))
    >>> table = LossTable(losses, losses[0], np.arange(8))
    >>> Odds(table, np.log([1.0, 3.0])).scores().round(3)
    array([0.693, 1.386])
    """

    offsets: NDArray[np.float64]
    without: Callable[[], NDArray[np.float64] | None] | None = None
    power: float = 1.0

    def _of_losses(self, losses: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp(-self.power * losses)

    def given(self, members: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
        """The probability of the given class, shape (samples,), by all or some of the members."""

        def score(part: slice) -> NDArray[np.float64]:
            rows = self._rows(part)
            chosen = rows if members is None else compress(rows, members)
            mean = mean_over_members(chosen, part.stop - part.start)
            base = self._of_losses(self._base(part))
            return self._mixed(part, np.where(np.isnan(mean), base, mean))

        return by_parts(len(self.table), self.table.samples, score)

    def _of_means(self, part: slice, means: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._with(self.offsets[part], part, means)

    def _of_means_without(self, part: slice, means: NDArray[np.float64]) -> NDArray[np.float64]:
        known = self._without
        if known is None or len(known) != len(means):  # the parts of a single chain
            return self._of_means(part, means)
        return self._with(known[:, part], part, means)

    @cached_property
    def _without(self) -> NDArray[np.float64] | None:
        return None if self.without is None else self.without()

    def _with(
        self, offsets: NDArray[np.float64], part: slice, means: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        p = np.clip(self._mixed(part, means), TINY, 1 - TINY)
        odds = np.log1p(-p) - np.log(p) + offsets
        return np.asarray(np.logaddexp(0.0, odds))

    def _mixed(self, part: slice, means: NDArray[np.float64]) -> NDArray[np.float64]:
        mixed = (1 - SHARE) * means + SHARE * self._of_losses(self._base(part))
        return np.asarray(mixed ** (1 / self.power))


@dataclass(frozen=True, eq=False)
class PlainLoss(Suspicion):
    """The loss of θ*, shape (samples,): the baseline. No member counts."""

    def _of_losses(self, losses: NDArray[np.float64]) -> NDArray[np.float64]:
        return losses

    def _of_means(self, part: slice, means: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.broadcast_to(self._base(part), means.shape)
