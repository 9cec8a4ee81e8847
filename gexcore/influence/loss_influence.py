"""Influence from losses of members, which give more scores than deviations alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import supports
from gexcore.backend.protocols import SupportsLogits
from gexcore.decisions.clean import RELABELLINGS, Cleaned, Predictions, Treatment, clean, positions
from gexcore.decisions.marks import read_marks
from gexcore.decisions.noise_rate import NoiseRate, noise_rate, noise_rate_of_odds
from gexcore.decisions.threshold import Suspects, ThresholdMethod
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.influence.check import Finding
from gexcore.influence.diagnose import diagnose
from gexcore.influence.flagged import flagged
from gexcore.influence.measures import for_a_ridge
from gexcore.influence.ranked import RankedInfluence
from gexcore.influence.suspicion import SAID


@dataclass(frozen=True, repr=False, eq=False)
class LossInfluence(RankedInfluence):
    """Influences and scores from losses of members, in nats for cross-entropy.

    Parameters
    ----------
    table : LossTable
        Raw losses [members × samples] and the losses of θ* measured in the same way.
    members : Members
        Members whose states were kept.
    test_table : LossTable, optional
        Losses of the same members on the test data of the fit.
    clip : float
        Clip of losses in `suspicion`.
    floor, ceiling : float
        Bounds of losses in every deviation. `floor` applies only to losses of θ*. `ceiling` applies
        to all losses.
    weighting : Weighting
        How deviations become influence.
    output : {"margin", "root", "loss"}
        Output of the model behind the loss, for a ridge.
    likelihood : bool
        Whether exp(−loss) is the probability of the given class.
    several : boolean array, shape (samples, labels), or None
        Given labels, if a sample has several.
    """

    def __repr__(self) -> str:
        count = self.run.count()
        chains = len({int(c) for c in self.table.chains})
        left_out = ", ".join(
            f"{n} {status}" for status, n in count.items() if status != "member" and n
        )
        # a repr must cost nothing: findings are shown only if they are already known
        known = vars(self).get("_findings")
        doubts = "" if known is None else f": {len(known)} finding{'' if len(known) == 1 else 's'}"
        return (
            f"<Influence by {self.run.label}: {len(self)} samples × {len(self.table)} members of "
            f"{chains} chains{f' ({left_out} left out)' if left_out else ''}; suspicion(): "
            f"{SAID[self.score]}, high = probably mislabelled; self_influence(): E[Δ²], high = "
            f"memorised; influence(test): {self._meaning}; diagnose(){doubts}>"
        )

    @property
    def _meaning(self) -> str:
        """What `influence` is, and what it is worth."""
        if self.weighting.is_papers:
            return "E[Δ·Δ'], + = losses move together; it says little about retraining"
        better = "" if for_a_ridge(self) else "; GEX.for_influence forecasts retraining better"
        return f"{self.weighting}, + = training on z helps z'{better}"

    @property
    def threshold_on(self) -> str:
        """The quantity that thresholds are on."""
        if self.score == "clipped_loss":
            return f"mean loss (clipped at {self._views.threshold_clip:g})"
        return "suspicion"

    def diagnose(self) -> list[Finding]:
        """All doubts about this run, with their numbers and what to do.

        The checks and their limits are `gexcore.influence.diagnose.CHECKS`.
        """
        return list(self._findings)

    def record(self) -> dict[str, Any]:
        """The content of `run.json`, with the score, weights and findings, in plain values.

        The weights are those of `influence` in this result, also after `weighted`.
        """
        findings = [finding._asdict() for finding in self.diagnose()]
        own = {"score": self.score, "weighting": self.weighting.used(), "findings": findings}
        return {**super().record(), **own}

    def _numbers(self) -> dict[str, float]:
        share, low, high = self.noise_rate()
        rates = {"noise_rate": share, "noise_rate_low": low, "noise_rate_high": high}
        return {**super()._numbers(), **rates, "findings": float(len(self.diagnose()))}

    def tables(self) -> dict[str, NDArray[Any]]:
        """Losses of members and of θ*, and the chain of each member."""
        table = self.table
        return {"losses": table.losses, "base_losses": table.base_losses, "chains": table.chains}

    def suspects(self, method: ThresholdMethod = "auto", *, rate: float | None = None) -> Suspects:
        """Samples that are probably mislabelled, above a threshold found from the scores.

        The threshold may refuse. A refusal means "use the ranking", not "the data is clean". The
        threshold cuts ``suspicion(clip=threshold.clip)``: the score of the ranking, or clipped
        losses. "auto" also refuses if two halves of the ensemble have too few suspects in common.

        Parameters
        ----------
        method : {"auto", "valley", "otsu", "mixture", "known_rate", "quantile"}
            "auto" is `gexcore.decisions.threshold.valley_or_refuse`. The others are alternatives.
        rate : float, optional
            Share of wrong labels for "known_rate", or share to flag for "quantile".
        """
        if method != "auto" or rate is not None:
            return flagged(self._views, method, rate)
        found = self._default_suspects
        return found._replace(indices=found.indices.copy())

    def noise_rate(self, method: ThresholdMethod = "auto") -> NoiseRate:
        """The share of wrong labels, with an interval of 95 %; NaN if nothing can be said.

        "auto" estimates it from the odds of the members
        (`gexcore.decisions.noise_rate.noise_rate_of_odds`), with or without a threshold. Without
        class probabilities, and with another method, it is the share of suspects
        (`gexcore.decisions.noise_rate.noise_rate`).
        """
        odds = self._views.by_class.odds() if method == "auto" else None
        if odds is not None:
            return noise_rate_of_odds(odds)
        if not len(self.table) or (method == "auto" and self.suspects().threshold.value is None):
            return NoiseRate(math.nan, math.nan, math.nan)
        return noise_rate(self._views.for_thresholds.scores(), self.labels, method=method)

    def predictions(self) -> Predictions:
        """Logits of θ*, mean class probabilities of kept members, and suggested labels.

        Logits and probabilities have the shape (samples, K). Targets that are no classes have no
        suggested labels.

        Raises
        ------
        MissingCapabilityError
            If the backend has no logits.
        """
        found = self._views.by_class.predictions
        return (
            found
            if self.labels is None
            else found._replace(suggested=self._views.by_class.suggested)
        )

    def suggested_labels(self) -> NDArray[np.intp]:
        """The class that each label most probably came from, if it is wrong, shape (samples,).

        It is never the given class: `suspicion` says whether a label is wrong. It is the most
        probable of the other classes by the kept members, by a tenth by θ*, and by how often the
        samples of each class are given this label (`gexcore.influence.confusions`).

        Raises
        ------
        InvalidDataError
            If the targets are no classes.
        MissingCapabilityError
            If the backend has no logits.
        """
        return self._views.by_class.suggested.copy()

    def relabel(
        self,
        method: Treatment = "argmax_or_drop",
        indices: Any = None,
        *,
        marks: str | Path | None = None,
    ) -> Cleaned:
        """The training set with relabelled or dropped suspects, as a value.

        Parameters
        ----------
        method : {"argmax_or_drop", "argmax", "other", "eq16", "distill", "complementary", "drop"}
            Method of `gexcore.decisions.clean.clean`. By default suspects get the label of
            `suggested_labels`. A suspect whose given class the members still hold for the most
            probable one is left out.
        indices : integer array, optional
            Positions to treat. The default is `suspects`.
        marks : str or Path, optional
            The ``marks.csv`` of a review. A mark beats a suggestion: a sample marked wrong gets the
            reviewer's label, one marked fine or unsure keeps its label.

        Raises
        ------
        InvalidDataError
            If targets are no classes.
        InvalidSettingError
            If the threshold was refused and no `indices` are given.
        MissingCapabilityError
            If the backend has no logits. "drop" needs none.
        """
        if self.labels is None:
            raise InvalidDataError(
                "relabelling needs one class per sample, and the targets are no classes"
            )
        reviewed = None
        if marks is not None:
            classes = self.run.classes or int(self.labels.max()) + 1
            names = self.run.names.classes
            reviewed = read_marks(marks, self.labels, classes, names=names)
        if indices is None:
            indices, threshold = self.suspects()
            if threshold.value is None and reviewed is None:
                msg = (
                    f"no threshold: {threshold.reason}; review the first of ranking() by hand, and "
                    "give the indices of those that are wrong, or the marks of a review"
                )
                raise InvalidSettingError(msg)
        chosen = positions(indices, len(self))
        if reviewed is not None:
            chosen = reviewed.chosen(chosen)
        predictions = self.predictions().at(chosen) if method in RELABELLINGS else None
        found = clean(self.labels, chosen, method, predictions)
        return found if reviewed is None else reviewed.applied(found, self.labels)

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns of `scores.csv`, one row per sample in the data's order."""
        found = super().columns()
        suggest = self.labels is not None and supports(self.members.backend, SupportsLogits)
        none = np.full(len(self), None, dtype=object)
        return {
            "index": found["index"],
            "label": found["label"],
            "suspicion": self.suspicion(),
            "self_influence": found["self_influence"],
            "standard_error": found["standard_error"],
            "suspect": found["suspect"],
            "suggested_label": self.suggested_labels() if suggest else none,
        }

    def _remarks(self) -> list[str]:
        return []

    @cached_property
    def _findings(self) -> tuple[Finding, ...]:
        return tuple(diagnose(self))

    @cached_property
    def _default_suspects(self) -> Suspects:
        return flagged(self._views)
