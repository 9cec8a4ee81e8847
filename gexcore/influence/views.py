"""The scores of suspicion that one run can give, and which of them is its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import supports
from gexcore.backend.protocols import Dataset, SupportsPartLosses
from gexcore.deviations.table import LossTable
from gexcore.deviations.uncertainty import member_groups
from gexcore.ensembles.members import Members
from gexcore.errors import InvalidSettingError
from gexcore.influence.both_errors import BothErrors
from gexcore.influence.class_odds import LARGEST, ClassOdds
from gexcore.influence.parts import probability
from gexcore.influence.several import WorstLabel, table_of_groups
from gexcore.influence.suspicion import (
    SAID,
    BothLosses,
    ClippedLoss,
    PlainLoss,
    Score,
    Suspicion,
)
from gexcore.influence.transition import Confusion, largest_confusion
from gexcore.settings import Auto, check_choice

THRESHOLD_CLIP = 3.0
"""Clip of losses for thresholds on clipped losses: at this clip the two modes show best."""


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
            return "confusion"
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
        if name == "confusion":
            return self.by_class.confusion[0]
        return self.by_class.transition if name == "transition" else self.by_class.rival

    @cached_property
    def by_class(self) -> ClassOdds:
        """What the members' class probabilities say of the labels."""
        of = self.table, self.labels, self.members, self.data, self.classes
        return ClassOdds(*of, self.likelihood, self.enough)

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
        lift = None if self.default != "confusion" else self.by_class.confusion[1]
        return None if lift is None or len(lift) < 3 else largest_confusion(lift)
