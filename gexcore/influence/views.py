"""The scores of suspicion that one run can give, and which of them is its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import supports
from gexcore.backend.classes import softmax
from gexcore.backend.protocols import Dataset, SupportsLogits, SupportsPartLosses
from gexcore.decisions.clean import Predictions
from gexcore.decisions.relabel import relabel_argmax
from gexcore.deviations.table import LossTable
from gexcore.deviations.uncertainty import member_groups
from gexcore.ensembles.members import Members
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.influence.both_errors import BothErrors
from gexcore.influence.parts import probability
from gexcore.influence.rival import rival_offsets
from gexcore.influence.several import WorstLabel, table_of_groups
from gexcore.influence.suspicion import (
    SAID,
    BothLosses,
    ClippedLoss,
    Odds,
    PlainLoss,
    Score,
    Suspicion,
)
from gexcore.influence.transition import (
    SHARE,
    TINY,
    Confusion,
    largest_confusion,
    likely_other,
    offsets_by_class,
    transition_matrix,
    transition_offsets,
    with_given,
)
from gexcore.settings import Auto, check_choice

THRESHOLD_CLIP = 3.0
"""Clip of losses for thresholds on clipped losses: at this clip the two modes show best."""

LARGEST = 2**27
"""The most class probabilities (samples × K) that a score holds in memory: 1 GiB."""

Offsets = Callable[[NDArray[np.intp], NDArray[np.float64]], NDArray[np.float64]]
"""Offsets of given classes and class probabilities."""


def transition(labels: NDArray[np.intp], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """The offsets of the data's own confusions."""
    return transition_offsets(labels, q, transition_matrix(labels, q))


@dataclass(frozen=True, eq=False)
class Views:
    """Scores of suspicion as views of one table of losses.

    Parameters
    ----------
    table : LossTable
    labels : integer array, shape (samples,), or None
        Given classes.
    members : Members
        Kept members, which give class probabilities.
    data : Dataset
        The samples of the table.
    classes : int or None
        Number of classes, where it is known.
    likelihood : bool
        Whether exp(−loss) is the probability of the given class.
    clip : float
        Clip of "clipped_loss".
    enough : int
        See `gexcore.influence.suspicion.Suspicion`.
    relearned : bool
        Whether the members relearned the data.
    several : boolean array, shape (samples, labels), or None
        Given labels, if a sample has several.
    squared : bool
        Whether the loss is a squared error.
    """

    table: LossTable
    labels: NDArray[np.intp] | None
    members: Members
    data: Dataset[Any]
    classes: int | None
    likelihood: bool
    clip: float
    enough: int
    relearned: bool = False
    several: NDArray[np.bool_] | None = None
    squared: bool = False

    @property
    def default(self) -> Score:
        """The name of the score by default."""
        if not len(self.table):
            return "plain_loss"
        if self.labels is not None and self.likelihood:
            return "transition"
        if self._known_parts:
            return "worst_label"
        if self.squared and not self.relearned:
            return "both_errors"
        # without classes relearned members lose what the trained model knows
        return "both_losses" if self.relearned and self.labels is None else "clipped_loss"

    def view(self, score: Score | Auto = "auto", clip: float | None = None) -> Suspicion:
        """The score of a name, with another clip where it has one.

        Raises
        ------
        InvalidSettingError
        """
        check_choice("score", score, ("auto", *SAID))
        name = self.default if score == "auto" else score
        if clip is not None and name != "clipped_loss":
            raise InvalidSettingError(
                f"score {name!r} has no clip; leave clip out, or take score='clipped_loss'"
            )
        if name == "clipped_loss":
            return ClippedLoss(self.table, self.clip if clip is None else clip, enough=self.enough)
        if name == "both_errors":
            return BothErrors(self.table, self.clip, enough=self.enough)
        if name == "both_losses":
            return BothLosses(self.table, self.clip, enough=self.enough)
        if name == "plain_loss":
            return PlainLoss(self.table)
        if name == "worst_label":
            return self._worst_label
        if self.labels is None or not self.likelihood:
            raise InvalidSettingError(
                f"score {name!r} needs a loss that is −log of the probability of one given class, "
                "and this loss is not; take score='clipped_loss'"
            )
        return self._transition[0] if name == "transition" else self._rival

    @property
    def parts(self) -> NDArray[np.float64] | None:
        """The score of each of several labels, shape (samples, labels); None for another score."""
        return self._worst_label.parts() if self.default == "worst_label" else None

    @property
    def _known_parts(self) -> bool:
        groups = len(np.unique(member_groups(self.members.chains)))
        held = 0 if self.several is None else groups * self.several.size
        return 0 < held <= LARGEST and supports(self.members.backend, SupportsPartLosses)

    @cached_property
    def _worst_label(self) -> WorstLabel:
        if self.several is None or not self._known_parts:
            raise InvalidSettingError(
                "score 'worst_label' needs several labels of each sample, with "
                "loss='binary_cross_entropy', and kept members; take score='clipped_loss'"
            )
        groups, trained = self.members.parts_by_group(self.data, probability)
        related = len(np.unique(self.members.chains)) == 1
        return WorstLabel(
            table=table_of_groups(groups, trained, related=related),
            labels=self.several,
            share=max(0, self.enough - len(self.table)) / self.enough,
        )

    @property
    def threshold_clip(self) -> float | None:
        """The clip of losses for thresholds; None if thresholds are on the score itself."""
        if self.default != "clipped_loss":
            return None
        # other losses have no scale of their own; `clip` is set by that of a guess
        return self.clip if self.labels is None else THRESHOLD_CLIP

    @property
    def for_thresholds(self) -> Suspicion:
        """The score that thresholds are on."""
        clip = self.threshold_clip
        return self.view() if clip is None else ClippedLoss(self.table, clip, enough=self.enough)

    def confusion(self) -> Confusion | None:
        """The largest confusion of the data set; None for two classes, or if it is unknown."""
        matrix = None if self.default != "transition" else self._transition[1]
        return None if matrix is None or len(matrix) < 3 else largest_confusion(matrix)

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

    @cached_property
    def _by_chain(self) -> NDArray[np.float64] | None:
        """Sums of class probabilities by chain; None for one chain, or if they are too many."""
        chains = len(np.unique(self.members.chains))
        held = chains * self.table.samples * (self.classes or LARGEST)
        return self.members.sums_by_chain(self.data) if chains > 1 and held <= LARGEST else None

    def odds(self) -> NDArray[np.float64] | None:
        """Log odds of the members' best other class against the given one, shape (samples,).

        None if there are no members or no class probabilities.
        """
        labels, held = self.labels, (self.classes or 0) * self.table.samples
        known = labels is not None and self.likelihood and held <= LARGEST
        if not known or not len(self.table) or not supports(self.members.backend, SupportsLogits):
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
        return likely_other(labels, q, transition_matrix(labels, q))

    @cached_property
    def _transition(self) -> tuple[Odds, NDArray[np.float64] | None]:
        """The score, and the transition matrix where it is known."""
        labels, q = self._labels_and_probabilities
        if q is None:
            classes = self.classes or int(labels.max()) + 1
            return self._odds(offsets_by_class(labels, self._given, max(2, classes))), None
        matrix = transition_matrix(labels, q)
        return self._odds(transition_offsets(labels, q, matrix), transition), matrix

    @cached_property
    def _rival(self) -> Odds:
        labels, q = self._labels_and_probabilities
        if q is None:
            return self._odds(np.zeros(len(labels)))
        return self._odds(rival_offsets(labels, q), rival_offsets)

    def _odds(self, offsets: NDArray[np.float64], of: Offsets | None = None) -> Odds:
        without = None if of is None else partial(self._without, of)
        return Odds(self.table, offsets, without, enough=self.enough)

    def _without(self, of: Offsets) -> NDArray[np.float64] | None:
        """The offsets without the members of each chain, shape (chains, samples), if known."""
        labels, sums, table = self.labels, self._by_chain, self.table
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
        held = (self.classes or 0) * len(self.labels)
        if not supports(self.members.backend, SupportsLogits) or held > LARGEST:
            return self.labels, None
        logits, kept, _ = self.predictions
        trained = softmax(logits)
        q = (1 - SHARE) * kept + SHARE * trained
        return self.labels, with_given(self.labels, self._given, q) if self.likelihood else q
