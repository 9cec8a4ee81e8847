"""Influence from a table of losses: bounds of losses, and weights over members."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from gexcore.deviations.outputs import Output
from gexcore.deviations.ranking import Top
from gexcore.deviations.table import LossTable, MemberTable
from gexcore.deviations.uncertainty import mean_over_members
from gexcore.deviations.weighting import Center, Weighting, Weights, usual_center
from gexcore.ensembles.members import Members
from gexcore.ensembles.recomputed import Recomputed
from gexcore.errors import InvalidSettingError
from gexcore.evaluation.others import check_test_losses
from gexcore.influence.influence import Influence
from gexcore.influence.suspicion import relearns
from gexcore.settings import Auto, check_choice

LEAST = 4
"""The least members whose relations a page shows."""

MOST_EVALUATED = 600_000
"""The most evaluations of single samples, by kept members and θ*, for relations."""

ASKED = "_asked_for_influence"
"""Mark of a result that influence was asked for."""


@dataclass(frozen=True, repr=False, eq=False)
class WeightedInfluence(Influence):
    """Influences and self-influences from losses of members.

    Parameters
    ----------
    table : LossTable
        Raw losses [members × samples] and the losses of θ* measured in the same way.
    members : Members
        Members whose states were kept.
    all_members : Recomputed, optional
        All members, for test data after the fit.
    test_table : LossTable, optional
        Losses of the same members on the test data of the fit.
    floor, ceiling : float
        Bounds of losses in every deviation. `floor` applies only to losses of θ*. `ceiling` applies
        to all losses.
    weighting : Weighting
        How deviations become influence.
    output : {"margin", "root", "loss"}
        Output of the model behind the loss, for a ridge.
    """

    table: LossTable
    members: Members
    all_members: Recomputed | None = None
    test_table: LossTable | None = None
    floor: float = 0.0
    ceiling: float = math.inf
    weighting: Weighting = field(default_factory=Weighting)
    output: Output = "loss"

    @property
    def losses(self) -> NDArray[Any]:
        """Raw losses, shape (members, samples). NaN if a member did not see the sample."""
        return self.table.losses

    @property
    def base_losses(self) -> NDArray[Any]:
        """Losses at θ*, shape (samples,), measured in the same way as the members' losses."""
        return self.table.base_losses

    def weighted(
        self,
        weights: Weights = "ridge",
        *,
        center: Center | Auto = "auto",
        strength: float | Auto = "auto",
        shrinkage: float | Auto = "auto",
    ) -> Self:
        """The same run with other weights in `influence` and all that follows from it.

        Scores such as `suspicion` and `self_influence` stay as they are.

        Parameters
        ----------
        weights : {"ridge", "mean"}
            "mean" is E[ΔΔ']. "ridge" is the influence function of Gauss-Newton in the space that
            the members span. It has no unit of the loss: compare values of one test sample.
        center : {"auto", "chains", "ensemble", "checkpoint"}
            What deviations are from: the mean over each chain, over all members, or θ*. "auto" is
            "chains" if each chain has three members, and else "ensemble". With "ensemble" a mean
            is the covariance of losses.
        strength : "auto" or float
            Strength λ of the ridge, above 0. "auto" is that of the run: 0.01 for members of
            `gexcore.GEX.for_influence`, and 0.3 for others.
        shrinkage : "auto" or float
            How much influences within the noise of a ridge are shrunk. "auto" is 6, and 0 is none.

        Raises
        ------
        InvalidSettingError

        Examples
        --------
        >>> import numpy as np
        >>> import gexcore as gx
        >>> from gexcore_numpy import MLP
        >>> x = np.random.default_rng(0).normal(size=(60, 2))
        >>> model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
        >>> data = x, (x[:, 0] > 0).astype(int)
        >>> found = gx.GEX(chains=2, snapshots=4, lr=0.1).fit(model, data, progress=False)
        >>> found.weighted("ridge").influence().shape
        (60, 60)
        """
        own = self.weighting
        ridge = own.strength if isinstance(strength, str) and strength == "auto" else strength
        shrunk = own.shrinkage if isinstance(shrinkage, str) and shrinkage == "auto" else shrinkage
        if isinstance(center, str) and center == "auto":
            center = usual_center(self.table.chains if self._evaluated else self.members.chains)
        how = Weighting(weights=weights, center=center, strength=ridge, shrinkage=shrunk)
        return replace(self, weighting=how)

    def self_influence(
        self,
        *,
        center: Literal["checkpoint", "ensemble"] = "checkpoint",
        floor: float | None = None,
        ceiling: float | None = None,
    ) -> NDArray[np.float64]:
        """The paper's E[Δ²] (Eq. 10), shape (samples,); high = memorised, NaN if never seen.

        Parameters
        ----------
        center : {"checkpoint", "ensemble"}
            Point around which deviations are squared. "ensemble" gives the variance of Δ over
            members, E[Δ²] − E[Δ]² (`mean_deviation`). It ignores a rise that all members share.
        floor, ceiling : float, optional
            Bounds of losses, instead of the run's bounds. 0 and ``numpy.inf`` mean no bounds, as in
            Eq. 10.

        Raises
        ------
        InvalidSettingError
        """
        check_choice("center", center, ("checkpoint", "ensemble"))
        square = self._bounded(floor, ceiling).self_influence()
        if center == "checkpoint":
            return square
        return np.maximum(square - self.mean_deviation(floor=floor, ceiling=ceiling) ** 2, 0.0)

    def mean_deviation(
        self, *, floor: float | None = None, ceiling: float | None = None
    ) -> NDArray[np.float64]:
        """E[Δ] over members, shape (samples,): the mean rise of the loss; NaN if never seen.

        Parameters
        ----------
        floor, ceiling : float, optional
            Bounds of losses, as in `self_influence`.
        """
        return mean_over_members(self._bounded(floor, ceiling).rows(), len(self))

    def absolute_deviation(
        self, *, floor: float | None = None, ceiling: float | None = None
    ) -> NDArray[np.float64]:
        """E|Δ| over members, shape (samples,); a few large losses count less than in E[Δ²].

        Parameters
        ----------
        floor, ceiling : float, optional
            Bounds of losses, as in `self_influence`.
        """
        return mean_over_members(map(np.abs, self._bounded(floor, ceiling).rows()), len(self))

    def related(self, positions: NDArray[np.intp], k: int) -> Top | None:
        """The training samples most related to these samples, by a ridge over members.

        Parameters
        ----------
        positions : integer array
            Positions of training samples.
        k : int
            Number of proponents and of opponents. A sample may be its own proponent.

        Returns
        -------
        Top or None
            None for fewer than four members. Kept members that relearned are evaluated on the data.
            None if that is too much, or if other members did not see all samples.

        Examples
        --------
        >>> import numpy as np
        >>> import gexcore as gx
        >>> from gexcore_numpy import MLP
        >>> x = np.random.default_rng(0).normal(size=(60, 2))
        >>> model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
        >>> data = x, (x[:, 0] > 0).astype(int)
        >>> found = gx.GEX(chains=2, snapshots=4, lr=0.1).fit(model, data, progress=False)
        >>> found.related(found.ranking(5), 3).proponents.shape
        (5, 3)
        """
        plan, table = self.run.plan, self.table
        if plan is not None and plan.scoring == "training_batches":
            few = (1 + len(self.members.rows)) * len(self) <= MOST_EVALUATED
            if not relearns(plan) or not few or not len(self.members.rows):
                return None
            table = self._kept_on_data
        if len(table) < LEAST:
            return None
        # E[ΔΔ'] of hot members is high for all samples alike, and a ridge costs no pass
        run = self.weighted("ridge") if self.weighting.is_papers else self
        losses, base = table.losses[:, positions], table.base_losses[positions]
        chosen = replace(table, losses=losses, base_losses=base)
        seen_by_all = replace(run, table=table, test_table=chosen, run=replace(run.run, plan=None))
        return seen_by_all.top(min(k, len(self)))

    def _own(self) -> LossTable:
        return self._bounded(None, None)

    def _bounded(self, floor: float | None, ceiling: float | None) -> LossTable:
        floor = self.floor if floor is None else floor
        ceiling = self.ceiling if ceiling is None else ceiling
        if not floor >= 0:
            raise InvalidSettingError(f"floor is {floor}, and must be 0, which is none, or above")
        if not ceiling > floor:
            raise InvalidSettingError(
                f"ceiling is {ceiling}, and must be above the floor, {floor}; numpy.inf is none"
            )
        return self.table.bounded(floor, ceiling)

    @property
    def asked_for_influence(self) -> bool:
        """Whether test data were given to the fit, or influence was asked for since."""
        return self.test_table is not None or ASKED in vars(self)

    def _pair(self, test: Any) -> tuple[MemberTable, MemberTable]:
        if not self.asked_for_influence:
            vars(self)[ASKED] = True
            vars(self).pop("_findings", None)  # there may be one more now
        raw = self._raw_pair(test)
        if test is not None:
            check_test_losses(raw[0].base_losses)
        tests, train = (table.bounded(self.floor, self.ceiling) for table in raw)
        how = self.weighting
        solved = (
            self._solved if train.losses is self.table.losses else how.solve(train, self.output)
        )
        return how.tests(tests, solved, self.output), how.train(train, solved, self.output)

    def _raw_pair(self, test: Any) -> tuple[LossTable, LossTable]:
        """Losses of members on test and training data, in evaluation mode, without gaps."""
        evaluated = self._evaluated
        if evaluated and test is None:
            return self.table if self.test_table is None else self.test_table, self.table
        if evaluated and len(self._asked.rows) == len(self.table):
            return self._asked.evaluate(test), self.table
        if not len(self.members.rows):
            told = (
                "influence on new data"
                if evaluated
                else "influence after scoring by training batches"
            )
            raise InvalidSettingError(
                f"{told} needs members whose states were kept; fit with keep > 0"
            )
        train = self.table.select(self.members.rows) if evaluated else self._kept_on_data
        if test is not None:
            return self.members.evaluate(test), train
        return train if self.test_table is None else self.test_table, train

    @property
    def _evaluated(self) -> bool:
        """Whether the losses of the table are those of an evaluation of all members."""
        return self.run.plan is None or self.run.plan.scoring == "evaluated"

    @property
    def _asked(self) -> Members:
        """The members that answer for new test data: all of them, where the run can make them."""
        if self.all_members is None or len(self.members.rows) == len(self.table):
            return self.members
        return self.all_members.held

    @cached_property
    def _solved(self) -> NDArray[np.float64] | None:
        """The solve of the ridge over all members."""
        return self.weighting.solve(self.table, self.output)

    @cached_property
    def _kept_on_data(self) -> LossTable:
        return self.members.evaluate(self.data)
