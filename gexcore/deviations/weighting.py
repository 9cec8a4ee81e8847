"""The weights of members as a value, and the tables that it makes of losses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from gexcore.deviations import weights as w
from gexcore.deviations.blocks import cached_parts, parts
from gexcore.deviations.outputs import Output, curvatures, output, slopes
from gexcore.deviations.table import LossTable, MemberTable
from gexcore.errors import InvalidSettingError
from gexcore.settings import check_choice, check_number

Weights = Literal["mean", "ridge"]
Center = Literal["checkpoint", "ensemble", "chains"]

LEAST_MEMBERS = 3
"""Members that a ridge needs."""

PART = 4096
"""Samples in one product of the ridge."""


def usual_center(chains: NDArray[np.intp]) -> Center:
    """What deviations are from: the mean over each chain if all chains have enough members.

    Parameters
    ----------
    chains : integer array, shape (members,)
        The chain of each member.
    """
    few = not len(chains) or int(np.unique(chains, return_counts=True)[1].min()) < LEAST_MEMBERS
    return "ensemble" if few else "chains"


@dataclass(frozen=True, kw_only=True)
class Weighting:
    """How deviations of members become influence.

    Parameters
    ----------
    weights : {"mean", "ridge"}
        "mean" is the paper's E[ΔΔ']. "ridge" divides the covariance of the members out: the
        result is the influence function of Gauss-Newton in the space that they span.
    center : {"checkpoint", "ensemble", "chains"}
        What deviations are from: θ*, the mean over all members, or the mean over each chain. The
        ridge takes no "checkpoint".
    strength : float
        Strength λ of the ridge, above 0.
    shrinkage : float
        Strength c of the shrinkage of a ridge, see `gexcore.deviations.weights.shrunk`. 0 is none.

    Raises
    ------
    InvalidSettingError

    Examples
    --------
    >>> from gexcore.deviations.weighting import Weighting
    >>> Weighting(weights="ridge", center="chains").strength
    0.3
    """

    weights: Weights = "mean"
    center: Center = "checkpoint"
    strength: float = w.STRENGTH
    shrinkage: float = w.SHRINKAGE

    def __post_init__(self) -> None:
        check_choice("weights", self.weights, ("mean", "ridge"))
        check_choice("center", self.center, ("checkpoint", "ensemble", "chains"))
        check_number("strength", self.strength, above=True)
        check_number("shrinkage", self.shrinkage)
        if self.weights == "ridge" and self.center == "checkpoint":
            raise InvalidSettingError(
                "center is 'checkpoint', and a ridge is over deviations from a mean; choose "
                "center='ensemble' or center='chains'"
            )

    @property
    def is_papers(self) -> bool:
        """Whether influence is E[ΔΔ'] of deviations from θ*."""
        return self.weights == "mean" and self.center == "checkpoint"

    def used(self) -> dict[str, str | float]:
        """The settings that have an effect: a mean has no strength and no shrinkage."""
        settings: dict[str, str | float] = asdict(self)
        names = list(settings) if self.weights == "ridge" else ["weights", "center"]
        return {name: settings[name] for name in names}

    def __str__(self) -> str:
        more = {name: value for name, value in self.used().items() if name != "weights"}
        told = ", ".join(f"{name} {value}" for name, value in more.items())
        return f"{self.weights} over members ({told})"

    def train(
        self, table: LossTable, solved: NDArray[np.float64] | None, kind: Output
    ) -> MemberTable:
        """The table of the training samples. Its product with that of `tests` is influence.

        Parameters
        ----------
        table : LossTable
        solved : array, shape (members, members), or None
            What `solve` gave for the training samples; a mean needs none.
        kind : {"margin", "root", "loss"}
        """
        if self.is_papers:
            return table
        matrix, first = self._centring(table)
        if solved is None:
            return OutputTable(table, matrix, first)
        slope = self._slopes(table, kind)
        return OutputTable(table, solved @ matrix, first, kind, slope, self.shrinkage)

    def tests(
        self, table: LossTable, solved: NDArray[np.float64] | None, kind: Output
    ) -> MemberTable:
        """The table of test samples, for the product with that of `train`."""
        if self.is_papers:
            return table
        matrix, first = self._centring(table)
        if solved is None:
            return OutputTable(table, matrix, first)
        return OutputTable(table, solved @ matrix, first, kind)

    def solve(self, table: LossTable, kind: Output) -> NDArray[np.float64] | None:
        """The root of M (A + λ tr(A)/N)⁻¹, shape (members, members): the one solve of a ridge.

        Parameters
        ----------
        table : LossTable
            Losses on the training samples.
        kind : {"margin", "root", "loss"}
            Output behind the losses.

        Returns
        -------
        array or None
            None for a mean.

        Raises
        ------
        InvalidSettingError
            If members are fewer than three, or did not see all samples.
        """
        if self.weights == "mean":
            return None
        _check_members(table)
        if self.center == "chains" and len(np.unique(table.chains)) == len(table):
            raise InvalidSettingError(
                "center is 'chains', and each chain has one member, whose deviations are zero; "
                "choose center='ensemble'"
            )
        weight = np.asarray(curvatures(self._slopes(table, kind), kind))
        rows = OutputTable(table, *self._centring(table), kind)
        total = np.zeros((len(table), len(table)))
        for part in parts(table.samples, PART):
            total += w.gram(rows.block(part.start, part.stop), weight[part])
        root = w.whitening(total, samples=table.samples, strength=self.strength)
        return math.sqrt(len(table)) * np.asarray(root)

    def _centring(self, table: LossTable) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """The matrix that subtracts the mean of each group, and the first member of each group."""
        chains = table.chains if self.center == "chains" else np.zeros(len(table), np.intp)
        _, first, groups = np.unique(chains, return_index=True, return_inverse=True)
        return np.asarray(w.centring(groups, len(first), np.ones(1))), first[groups]

    def _slopes(self, table: LossTable, kind: Output) -> NDArray[np.float64]:
        found = np.empty(table.samples)
        for part in parts(table.samples, PART):
            rows = table.losses[:, part].astype(np.float64)
            found[part] = np.asarray(slopes(rows, kind)).mean(axis=0)
        return found


@dataclass(frozen=True, eq=False)
class OutputTable(MemberTable):
    """Deviations of outputs: a matrix times the rows of a table of losses, block by block.

    Parameters
    ----------
    source : LossTable
    matrix : array, shape (members, members)
        It takes no notice of what the members of a group have in common.
    first : integer array, shape (members,)
        The first member in the group of each. Its row is subtracted before the product: the rest
        of members that are alike is then zero, and no rounding that a ridge would divide by.
    kind : {"margin", "root", "loss"}, optional
        Output that the rows are. Without it they are bounded deviations of the losses.
    scale : array, shape (samples,), optional
        Factor of each sample.
    shrinkage : float
        Strength of the shrinkage of influences on these samples. 0 is none.
    chains, weights : None
        The rows are no draws, and count equally.
    """

    source: LossTable
    matrix: NDArray[np.float64]
    first: NDArray[np.intp]
    kind: Output | None = None
    scale: NDArray[np.float64] | None = None
    shrinkage: float = 0.0
    chains: None = None
    weights: None = None

    @property
    def samples(self) -> int:
        """How many samples."""
        return self.source.samples

    def __len__(self) -> int:
        return len(self.source)

    def rows(self) -> Iterator[NDArray[np.float64]]:
        """Deviations of each member."""
        return iter(self.block(0, self.samples))

    def block(self, start: int, stop: int, /) -> NDArray[np.float64]:
        """Deviations of the samples start … stop − 1, shape (members, stop − start)."""
        if self.kind is None:
            rows = self.source.block(start, stop)
        else:
            rows = np.asarray(
                output(self.source.losses[:, start:stop].astype(np.float64), self.kind)
            )
        found = self.matrix @ (rows - rows[self.first])
        return found if self.scale is None else found * self.scale[start:stop]

    def group_cross(
        self, tests: Self, codes: NDArray[np.intp], count: int, /
    ) -> NDArray[np.float64]:
        """I(z', z) summed over each group. Sums of shrunk values are not shrunk sums."""
        if not self.shrinkage:
            return super().group_cross(tests, codes, count)
        found = np.zeros((tests.samples, count))
        for part, block in self.cross(tests):
            for total, row in zip(found, block, strict=True):
                total += np.bincount(codes[part], weights=row, minlength=count)
        return found

    def _influence(
        self, dev_test: NDArray[np.float64], dev: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        found = super()._influence(dev_test, dev)
        if not self.shrinkage:
            return found
        tests, train = (np.sqrt((each**2).mean(axis=0)) for each in (dev_test, dev))
        for part in cached_parts(len(tests), len(train)):
            found[:, part] = w.shrunk(
                found[:, part], tests, train[part], members=len(self), strength=self.shrinkage
            )
        return found


def _check_members(table: LossTable) -> None:
    if len(table) < LEAST_MEMBERS:
        raise InvalidSettingError(
            f"a ridge needs at least {LEAST_MEMBERS} members whose losses are known on all "
            f"samples, and here are {len(table)}; give more snapshots, restarts, budget or keep, "
            "or ask weighted('mean', center='checkpoint')"
        )
    if np.isnan(table.losses).any():
        raise InvalidSettingError(
            "some members did not see all samples, and a ridge needs every loss; fit with "
            "scoring='evaluated'"
        )
