"""Scores of labels that are classes: odds from class probabilities of the members."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import supports
from gexcore.backend.classes import softmax
from gexcore.backend.protocols import Dataset, SupportsLogits
from gexcore.decisions.clean import Predictions
from gexcore.decisions.relabel import relabel_argmax
from gexcore.deviations.table import LossTable
from gexcore.ensembles.members import Members
from gexcore.errors import InvalidDataError
from gexcore.influence.confusions import POWER, lifts
from gexcore.influence.rival import rival_offsets
from gexcore.influence.suspicion import Odds
from gexcore.influence.transition import (
    SHARE,
    TINY,
    likely_other,
    offsets_by_class,
    offsets_of,
    transition_matrix,
    transition_offsets,
    with_given,
)

LARGEST = 2**27
"""The most class probabilities (samples × K) that a score holds in memory: 1 GiB."""

Offsets = Callable[[NDArray[np.intp], NDArray[np.float64]], NDArray[np.float64]]
"""Offsets of given classes and class probabilities."""


def confusion_offsets(labels: NDArray[np.intp], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """The offsets of confusions that doubts do not explain."""
    return offsets_of(labels, q, lifts(labels, q))


def all_offsets(labels: NDArray[np.intp], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """The offsets of all confusions of the data."""
    return transition_offsets(labels, q, transition_matrix(labels, q))


@dataclass(frozen=True, eq=False)
class ClassOdds:
    """Odds of wrong classes.

    Parameters
    ----------
    table, labels, members, data, classes, likelihood, enough
        See `gexcore.influence.views.Views`.
    """

    table: LossTable
    labels: NDArray[np.intp] | None
    members: Members
    data: Dataset[Any]
    classes: int | None
    likelihood: bool
    enough: int

    @cached_property
    def predictions(self) -> Predictions:
        """Logits of θ* and mean class probabilities of kept members, each of shape (samples, K).

        Raises
        ------
        MissingCapabilityError
            If the backend has no logits.
        """
        sums = self._by_chain
        probabilities = (
            self.members.probabilities(self.data)
            if sums is None
            else sums.sum(axis=0) / max(1, len(self.members.rows))
        )
        return Predictions(self.members.checkpoint_logits(self.data), probabilities)

    @property
    def _known(self) -> bool:
        """Whether there are class probabilities, and not too many."""
        held = (self.classes or 0) * self.table.samples
        return supports(self.members.backend, SupportsLogits) and held <= LARGEST

    @cached_property
    def _by_chain(self) -> NDArray[np.float64] | None:
        """Sums of class probabilities by chain; None for one chain, or if they are too many."""
        chains = len(np.unique(self.members.chains))
        few = chains * self.table.samples * (self.classes or LARGEST) <= LARGEST
        return self.members.sums_by_chain(self.data) if chains > 1 and few else None

    def odds(self) -> NDArray[np.float64] | None:
        """Log odds of the members' best other class against the given one, shape (samples,).

        None if there are no members or no class probabilities.
        """
        labels = self.labels
        if labels is None or not self.likelihood or not self._known or not len(self.table):
            return None
        q, rows = self.predictions.probabilities.astype(np.float64), np.arange(self.table.samples)
        given = q[rows, labels]
        q[rows, labels] = 0.0
        found = np.log(np.maximum(q.max(axis=1), TINY)) - np.log(np.maximum(given, TINY))
        return np.asarray(found)

    @cached_property
    def suggested(self) -> NDArray[np.intp]:
        """The class that each label most probably came from, if it is wrong.

        Raises
        ------
        InvalidDataError
            If the targets are no classes.
        MissingCapabilityError
            If the backend has no logits.
        """
        labels, q = self._labels_and_probabilities
        if q is None:
            return np.asarray(relabel_argmax(self.predictions.probabilities, labels))
        return likely_other(labels, q, lifts(labels, q))

    @cached_property
    def confusion(self) -> tuple[Odds, NDArray[np.float64] | None]:
        """The score by confusions that doubts do not explain, and the lifts if they are known."""
        labels, q = self._labels_and_probabilities
        if q is None:
            return self._odds(self._by_class, power=POWER), None
        lift = lifts(labels, q)
        return self._odds(offsets_of(labels, q, lift), confusion_offsets, power=POWER), lift

    @cached_property
    def transition(self) -> Odds:
        """The score by all confusions of the data."""
        labels, q = self._labels_and_probabilities
        if q is None:
            return self._odds(self._by_class)
        return self._odds(all_offsets(labels, q), all_offsets)

    @property
    def _by_class(self) -> NDArray[np.float64]:
        """Offsets from losses alone."""
        labels, _ = self._labels_and_probabilities
        classes = self.classes or int(labels.max()) + 1
        return offsets_by_class(labels, self._given, max(2, classes))

    @cached_property
    def rival(self) -> Odds:
        """The score by the most probable other class."""
        labels, q = self._labels_and_probabilities
        if q is None:
            return self._odds(np.zeros(len(labels)))
        return self._odds(rival_offsets(labels, q), rival_offsets)

    def _odds(
        self, offsets: NDArray[np.float64], of: Offsets | None = None, power: float = 1.0
    ) -> Odds:
        without = None if of is None else partial(self._without, of)
        return Odds(self.table, offsets, without, power, enough=self.enough)

    def _without(self, of: Offsets) -> NDArray[np.float64] | None:
        """The offsets without the members of each chain, shape (chains, samples), if known."""
        labels, sums, table = self.labels, self._by_chain if self._known else None, self.table
        chains = np.unique(table.chains)
        if labels is None or sums is None or len(sums) != len(chains):
            return None
        trained, total = softmax(self.predictions.logits), sums.sum(axis=0)
        found = np.empty((len(chains), table.samples))
        for row, (chain, own) in enumerate(zip(chains, sums, strict=True)):
            given = self._odds(np.zeros(table.samples)).given(table.chains != chain)
            kept = (total - own) / (self.members.chains != chain).sum()
            found[row] = of(labels, with_given(labels, given, (1 - SHARE) * kept + SHARE * trained))
        return found

    @cached_property
    def _given(self) -> NDArray[np.float64]:
        return self._odds(np.zeros(self.table.samples)).given()

    @property
    def _labels_and_probabilities(
        self,
    ) -> tuple[NDArray[np.intp], NDArray[np.float64] | None]:
        """Given classes, and class probabilities of the ensemble where they are known."""
        if self.labels is None:
            raise InvalidDataError("the targets are no classes; choose another score")
        if not self._known:
            two = np.ones((len(self.labels), 2)) if self.classes == 2 and self.likelihood else None
            # of two classes the other one has the rest
            return self.labels, two if two is None else with_given(self.labels, self._given, two)
        logits, kept, _ = self.predictions
        trained = softmax(logits)
        q = (1 - SHARE) * kept + SHARE * trained
        return self.labels, with_given(self.labels, self._given, q) if self.likelihood else q
