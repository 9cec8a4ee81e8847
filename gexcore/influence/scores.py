"""Results of scores: one number per sample, and the meaning of high numbers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.cuts import Threshold
from gexcore.decisions.threshold import Suspects, ThresholdMethod, above, find_threshold
from gexcore.influence.record import Run
from gexcore.influence.result import Result

High = Literal["mislabelled", "correct"]
"""The meaning of a high value for the given label."""

MIN_LEVELS = 50
"""Distinct values that a valley needs: gaps between few counts would look like valleys."""


@dataclass(frozen=True, eq=False, repr=False)
class Scores(Result):
    """A score of the samples of one training set, in the data's order.

    Parameters
    ----------
    values : array, shape (samples,)
        Values with the published sign. NaN for a sample without data.
    labels : integer array, shape (samples,), or None
        Given classes, if they are known.
    unit : str
        Unit of the values.
    high : {"mislabelled", "correct"}
        Meaning of high values. `suspicion` is −values for "correct".
    run : Run
        Record of the fit. The backend is "none" if no model was evaluated.
    tie_break : array, shape (samples,), optional
        Numbers that order samples of equal value in `ranking`; high = more suspicious.
    details : mapping of arrays
        Further results, which the class of the method describes.
    """

    values: NDArray[np.float64]
    labels: NDArray[np.intp] | None
    unit: str
    high: High
    run: Run
    tie_break: NDArray[np.float64] | None = None
    details: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the method."""
        return self.run.method

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        meaning = (
            "values: high = probably mislabelled, and so suspicion()"
            if self.high == "mislabelled"
            else "values: high = probably correct; suspicion(): −values, high = probably "
            "mislabelled"
        )
        return f"<Scores by {self.name}: {len(self)} samples, in {self.unit}; {meaning}>"

    @property
    def threshold_on(self) -> str:
        """The quantity that thresholds are on."""
        return "suspicion"

    def suspicion(self) -> NDArray[np.float64]:
        """Values, or −values if high means correct; high = probably mislabelled."""
        return self.values.copy() if self.high == "mislabelled" else -self.values

    def ranking(self, k: int | None = None) -> NDArray[np.intp]:
        """Positions, most suspicious first and unknown values last.

        Equal values are ordered by `tie_break`, then by position.
        """
        ties = np.zeros(len(self)) if self.tie_break is None else self.tie_break
        return np.lexsort((-ties, -self.suspicion()))[:k]

    def suspects(self, method: ThresholdMethod = "auto", *, rate: float | None = None) -> Suspects:
        """Samples that are probably mislabelled, above a threshold found from `suspicion`.

        The threshold may refuse. A refusal means "use the ranking", not "the data is clean".
        Samples of unknown value are no suspects. Negative scores are shifted to start at zero for
        the search, because it uses square roots. The threshold is on the scale of `suspicion`. With
        fewer than 50 distinct values "auto" and "valley" refuse.

        Parameters
        ----------
        method : {"auto", "valley", "otsu", "mixture", "known_rate", "quantile"}
            Method of `gexcore.decisions.threshold.find_threshold`.
        rate : float, optional
            Share of wrong labels for "known_rate", or share to flag for "quantile".
        """
        suspicion = self.suspicion()
        known = ~np.isnan(suspicion)
        if not known.any():
            refused = Threshold(None, "refused", "no sample has a known value")
            return Suspects(np.empty(0, np.intp), refused)
        levels = len(np.unique(suspicion[known]))
        if method in ("auto", "valley") and levels < MIN_LEVELS:
            reason = (
                f"{levels} distinct values are too few to tell a valley from a gap between them, "
                f"at least {MIN_LEVELS} are needed"
            )
            return Suspects(
                np.empty(0, np.intp),
                Threshold(None, "refused", f"{reason}; use the scores as a ranking"),
            )
        start = min(0.0, float(suspicion[known].min()))
        raised = suspicion - start
        labels = None if self.labels is None else self.labels[known]
        found = find_threshold(raised[known], labels, method=method, rate=rate)
        if found.value is None:
            return Suspects(np.empty(0, np.intp), found)
        ranking, flagged = self.ranking(), above(raised, self.labels, found)
        return Suspects(ranking[flagged[ranking]], found._replace(value=found.value + start))

    def tables(self) -> dict[str, NDArray[Any]]:
        """The details of the method."""
        return {name: np.asarray(array) for name, array in self.details.items()}

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns of a table, one row per sample in the data's order."""
        suspect = np.zeros(len(self), dtype=bool)
        suspect[self.suspects().indices] = True
        return {
            "index": np.arange(len(self)),
            "label": np.full(len(self), None, dtype=object) if self.labels is None else self.labels,
            "suspicion": self.suspicion(),
            "value": self.values,
            "suspect": suspect,
        }


class Scored(Result):
    """A result whose samples are judged by one score, such as its self-influence."""

    @abstractmethod
    def scores(self) -> Scores:
        """The score of every sample."""

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns of `scores`, one row per sample in the data's order."""
        return self.scores().columns()

    def ranking(self, k: int | None = None) -> NDArray[np.intp]:
        """Positions of the samples, or of the first `k`, highest score first."""
        return self.scores().ranking(k)

    def suspects(self, method: ThresholdMethod = "auto", *, rate: float | None = None) -> Suspects:
        """Samples of high scores; see `gexcore.Scores.suspects`."""
        return self.scores().suspects(method, rate=rate)

    @property
    def threshold_on(self) -> str:
        """The quantity that thresholds are on."""
        return "suspicion"
