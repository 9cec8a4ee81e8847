"""Influence from losses of members, which give more scores than deviations alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import supports
from gexcore.backend.classes import softmax
from gexcore.backend.protocols import SupportsLogits
from gexcore.decisions.clean import RELABELLINGS, Cleaned, Predictions, Treatment, clean, positions
from gexcore.decisions.cuts import Threshold
from gexcore.decisions.marks import read_marks
from gexcore.decisions.noise_rate import NoiseRate, noise_rate
from gexcore.decisions.threshold import Suspects, ThresholdMethod, above, find_threshold
from gexcore.deviations.outputs import Output
from gexcore.deviations.ranking import highest
from gexcore.deviations.table import LossTable, MemberTable, groups_that_saw
from gexcore.deviations.uncertainty import mean_over_members, t_quantiles
from gexcore.deviations.weighting import Center, Weighting, Weights
from gexcore.deviations.weights import STRENGTH
from gexcore.ensembles.members import Members
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.influence.diagnose import Finding, diagnose
from gexcore.influence.influence import NO_MEMBERS, Influence
from gexcore.influence.rival import rival_offsets
from gexcore.influence.suspicion import ClippedLoss, Odds, PlainLoss, Score, Suspicion
from gexcore.influence.transition import (
    SHARE,
    Confusion,
    largest_confusion,
    offsets_by_class,
    transition_matrix,
    transition_offsets,
    with_given,
)
from gexcore.settings import Auto, check_choice

MIN_AGREEMENT = 0.7
"""The least agreement of two halves on the suspects.

Below it, the suspects are often parts of classes that members have half forgotten.
"""

LEAST_MEMBERS = 4
"""The least members for two halves."""

THRESHOLD_CLIP = 3.0
"""Clip of losses for thresholds on clipped losses: at this clip the two modes show best."""

LARGEST = 2**27
"""The most class probabilities (samples × K) that a score holds in memory: 1 GiB."""

SAID = {
    "transition": "odds of a wrong label by the data's own confusions",
    "rival": "odds of the most probable other class",
    "clipped_loss": "mean clipped loss",
    "plain_loss": "loss of the trained model",
}
"""What each score is, in words."""


@dataclass(frozen=True, repr=False, eq=False)
class LossInfluence(Influence):
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
    """

    table: LossTable
    members: Members
    test_table: LossTable | None = None
    clip: float = 3.0
    floor: float = 0.0
    ceiling: float = math.inf
    weighting: Weighting = field(default_factory=Weighting)
    output: Output = "loss"
    likelihood: bool = True

    @property
    def losses(self) -> NDArray[Any]:
        """Raw losses, shape (members, samples). NaN if a member did not see the sample."""
        return self.table.losses

    @property
    def base_losses(self) -> NDArray[Any]:
        """Losses at θ*, shape (samples,), measured in the same way as the members' losses."""
        return self.table.base_losses

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
            f"<Influence by {self.run.label}: {len(self)} samples × {len(self.table)} members "
            f"of {chains} chains"
            f"{f' ({left_out} left out)' if left_out else ''}; "
            f"suspicion(): {SAID[self.score]}, high = probably mislabelled; self_influence(): "
            "E[Δ²], high = memorised; "
            f"influence(test): {self._meaning}; diagnose(){doubts}>"
        )

    @property
    def _meaning(self) -> str:
        """What `influence` is, and what it is worth."""
        if self.weighting.is_papers:
            return (
                "E[Δ·Δ'], + = losses move together; it says little about retraining, "
                "GEX.for_influence does"
            )
        return f"{self.weighting.weights} over members, + = training on z helps z'"

    @property
    def threshold_on(self) -> str:
        """The quantity that thresholds are on."""
        if self.score == "clipped_loss":
            return f"mean loss (clipped at {self._threshold_clip:g})"
        return "suspicion"

    @cached_property
    def score(self) -> Score:
        """The score of `suspicion` by default: see there."""
        if not len(self.table):
            return "plain_loss"
        return "transition" if self.labels is not None and self.likelihood else "clipped_loss"

    def weighted(
        self,
        weights: Weights = "ridge",
        *,
        center: Center = "chains",
        strength: float = STRENGTH,
    ) -> Self:
        """The same run with other weights in `influence` and all that follows from it.

        Scores such as `suspicion` and `self_influence` stay as they are.

        Parameters
        ----------
        weights : {"ridge", "mean"}
            "mean" is E[ΔΔ']. "ridge" is the influence function of Gauss-Newton in the space that
            the members span. It has no unit of the loss: compare values of one test sample.
        center : {"chains", "ensemble", "checkpoint"}
            What deviations are from: the mean over each chain, over all members, or θ*. With
            "ensemble" a mean is the covariance of losses.
        strength : float
            Strength λ of the ridge, above 0.

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
        how = Weighting(weights=weights, center=center, strength=strength)
        return replace(self, weighting=how)

    def diagnose(self) -> list[Finding]:
        """All doubts about this run, with their numbers and what to do.

        The checks and their limits are `gexcore.influence.diagnose.CHECKS`.
        """
        return list(self._findings)

    def record(self) -> dict[str, Any]:
        """The content of `run.json`, with the score and findings, in plain values."""
        findings = [finding._asdict() for finding in self.diagnose()]
        return {**super().record(), "score": self.score, "findings": findings}

    def suspicion(
        self, score: Score | Auto = "auto", *, clip: float | None = None
    ) -> NDArray[np.float64]:
        """How probably each label is wrong, shape (samples,); high = probably mislabelled.

        Parameters
        ----------
        score : {"auto", "transition", "rival", "clipped_loss", "plain_loss"}
            - "transition" compares each label with the confusions of the data set: a label is more
              suspicious if many samples of its most probable class are labelled so. It is
              log (1 + odds) of a wrong label, in nats; with equal confusions it is −log p.
            - "rival" is log (1 + q ÷ p), in nats, for the probabilities p of the given class and q
              of the most probable other class.
            - "clipped_loss" is the mean over members of min(loss, clip), in units of the loss.
            - "plain_loss" is the loss of θ*, the baseline.

            "auto" is "transition" where exp(−loss) is the probability of the given class,
            "clipped_loss" for other losses, and "plain_loss" without a member.
        clip : float, optional
            Clip of "clipped_loss", which is then the default, so that a few exploding losses do not
            decide a mean. It is max(3, 2.5 ln K) if not given, or three times the loss of a guess
            for other losses.

        Raises
        ------
        InvalidSettingError
            For another score, for a clip of a score without one, and for "transition" and "rival"
            where exp(−loss) is no probability of a class.

        Notes
        -----
        "transition" and "rival" need class probabilities: one pass over the data for each kept
        member and one for θ*, at the first call. Without logits, or with more than 2²⁷
        probabilities, "transition" uses losses alone, and "rival" is −log p. With fewer than eight
        members, θ* takes the places of the missing ones. A few members alone are worse than plain
        loss. A sample that no member saw has the score of θ* alone.
        """
        if clip is not None and score == "auto":
            score = "clipped_loss"
        return self._view(score, clip).scores()

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
        if center not in ("checkpoint", "ensemble"):
            raise InvalidSettingError(
                f"center is {center!r}; allowed are 'checkpoint' and 'ensemble'"
            )
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

    def ranking(self, k: int | None = None) -> NDArray[np.intp]:
        """Positions of the samples, or of the first `k`, most suspicious first."""
        # equal scores, such as those of a clip, are in the order of the loss of θ*
        return np.lexsort((-self.base_losses.astype(np.float64), -self.suspicion()))[:k]

    def standard_error(
        self, *, of: Literal["suspicion", "self_influence"] = "suspicion"
    ) -> NDArray[np.float64]:
        """Standard error of a score over chains, shape (samples,), in the unit of the score.

        One chain is left out at a time, because members of one chain are not independent. A single
        chain is cut into consecutive parts (batch means). NaN if fewer than two chains, or parts,
        saw the sample.
        """
        if of == "suspicion":
            return self._view().standard_error()
        if of != "self_influence":
            raise InvalidSettingError(
                f"no standard error of {of!r}; allowed are 'suspicion' and 'self_influence'"
            )
        return super().standard_error()

    def confidence_interval(
        self, level: float = 0.95, *, of: Literal["suspicion", "self_influence"] = "suspicion"
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Low and high ends of an interval for a score over chains, each of shape (samples,).

        The standard error times the quantile of Student's t. Its degrees of freedom are the number
        of chains that saw the sample minus one. A single chain counts as its consecutive parts,
        which are related: its intervals are then too short.

        Parameters
        ----------
        level : float
            Probability that an interval holds the mean over many chains.
        of : {"suspicion", "self_influence"}

        Raises
        ------
        InvalidSettingError
            If the level is not between 0 and 1, or for another score.
        MissingExtraError
            If SciPy is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> import gexcore as gx
        >>> from gexcore_numpy import MLP
        >>> x = np.random.default_rng(0).normal(size=(60, 2))
        >>> model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
        >>> gex = gx.GEX(chains=4, snapshots=4, lr=0.1)
        >>> found = gex.fit(model, (x, (x[:, 0] > 0).astype(int)), progress=False)
        >>> low, high = found.confidence_interval(0.9)
        >>> bool((low <= found.suspicion()).all() and (found.suspicion() <= high).all())
        True
        """
        error = self.standard_error(of=of)
        scores = self.suspicion() if of == "suspicion" else self.self_influence()
        far = error * t_quantiles(level, groups_that_saw(self.table) - 1)
        return scores - far, scores + far

    def reliability(self, *, of: Literal["suspicion", "self_influence"] = "suspicion") -> float:
        """Expected correlation of a score between two such runs, at most 1.

        It follows from the agreement of two halves of the members: see
        `gexcore.deviations.uncertainty.split_half`. E[Δ²] counts with its root. The number shows
        the noise between runs. It does not show whether the score finds wrong labels. NaN if it is
        unknown.
        """
        if of == "suspicion":
            return self._view().reliability()
        if of != "self_influence":
            raise InvalidSettingError(
                f"no reliability of {of!r}; allowed are 'suspicion' and 'self_influence'"
            )
        return super().reliability()

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
            return self._suspects(method, rate)
        found = self._default_suspects
        return found._replace(indices=found.indices.copy())

    def _suspects(self, method: ThresholdMethod, rate: float | None) -> Suspects:
        if not len(self.table):
            return Suspects(np.empty(0, np.intp), Threshold(None, "refused", NO_MEMBERS))
        scores = self._for_thresholds.scores()
        found = find_threshold(scores, self.labels, method=method, rate=rate)._replace(
            clip=self._threshold_clip
        )
        if method == "auto":
            found = self._sure(self._agreed(found), scores)
        if found.value is None:
            return Suspects(np.empty(0, np.intp), found)
        flagged = np.flatnonzero(above(scores, self.labels, found))
        return Suspects(flagged[highest(self.suspicion()[flagged])], found)

    def noise_rate(self, method: ThresholdMethod = "auto") -> NoiseRate:
        """The share of suspects with a bootstrap interval; NaN if the threshold was refused.

        The interval leaves out the bias of the scores: see
        `gexcore.decisions.noise_rate.noise_rate`.
        """
        if not len(self.table) or (method == "auto" and self.suspects().threshold.value is None):
            return NoiseRate(math.nan, math.nan, math.nan)
        return noise_rate(self._for_thresholds.scores(), self.labels, method=method)

    def predictions(self) -> Predictions:
        """Logits of θ* and mean class probabilities of kept members, each of shape (samples, K).

        Raises
        ------
        MissingCapabilityError
            If the backend has no logits.
        """
        return self._predictions

    def suggested_labels(self) -> NDArray[np.intp]:
        """The most probable class by the kept members, shape (samples,).

        Raises
        ------
        MissingCapabilityError
            If the backend has no logits.
        """
        return np.asarray(self.predictions().probabilities.argmax(axis=1))

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
            Method of `gexcore.decisions.clean.clean`. By default suspects get the most probable
            class by the members. A suspect whose given class this is, is left out.
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

    def _agreed(self, found: Threshold) -> Threshold:
        """The threshold, or a refusal if halves of the ensemble do not agree on the suspects."""
        if found.value is None:
            return found
        if len(self.table) < LEAST_MEMBERS:
            reason = (
                f"the ensemble has {len(self.table)} members, at least {LEAST_MEMBERS} are "
                "needed to compare its halves; "
                "use the scores as a ranking, or raise the budget"
            )
            return found._replace(value=None, method="refused", reason=reason)
        agreement = self._for_thresholds.agreement_above(found.value)
        if not agreement < MIN_AGREEMENT:  # NaN: nothing can be compared
            return found
        reason = (
            f"two halves of the ensemble have {agreement:.0%} of their suspects in common, "
            "at least "
            f"{MIN_AGREEMENT:.0%} are needed; use the scores as a ranking"
        )
        return found._replace(value=None, method="refused", reason=reason)

    def _sure(self, found: Threshold, scores: NDArray[np.float64]) -> Threshold:
        """The threshold, or a refusal if resampled data without classes may have none."""
        if found.value is None or self.labels is not None or noise_rate(scores).low > 0:
            return found
        reason = (
            "some resampled data have no threshold, so that the interval of the noise rate reaches "
            "0; use the scores as a ranking"
        )
        return found._replace(value=None, method="refused", reason=reason)

    @property
    def _threshold_clip(self) -> float | None:
        if self.score != "clipped_loss":
            return None
        # other losses have no scale of their own; `clip` is set by that of a guess
        return self.clip if self.labels is None else THRESHOLD_CLIP

    @property
    def _for_thresholds(self) -> Suspicion:
        clip = self._threshold_clip
        return self._view() if clip is None else ClippedLoss(self.table, clip)

    def _view(self, score: Score | Auto = "auto", clip: float | None = None) -> Suspicion:
        check_choice("score", score, ("auto", *SAID))
        name = self.score if score == "auto" else score
        if clip is not None and name != "clipped_loss":
            raise InvalidSettingError(
                f"score {name!r} has no clip; leave clip out, or take score='clipped_loss'"
            )
        if name == "clipped_loss":
            return ClippedLoss(self.table, self.clip if clip is None else clip)
        if name == "plain_loss":
            return PlainLoss(self.table)
        if self.labels is None or not self.likelihood:
            raise InvalidSettingError(
                f"score {name!r} needs a loss that is −log of the probability of one given class, "
                "and this loss is not; take score='clipped_loss'"
            )
        return self._transition[0] if name == "transition" else self._rival

    def confusion(self) -> Confusion | None:
        """The largest confusion of the data set; None for two classes, or if it is unknown."""
        matrix = None if self.score != "transition" else self._transition[1]
        return None if matrix is None or len(matrix) < 3 else largest_confusion(matrix)

    @cached_property
    def _transition(self) -> tuple[Odds, NDArray[np.float64] | None]:
        """The score, and the transition matrix where it is known."""
        labels, q = self._labels_and_probabilities
        if q is None:
            classes = self.run.classes or int(labels.max()) + 1
            return self._odds(offsets_by_class(labels, self._given, max(2, classes))), None
        matrix = transition_matrix(labels, q)
        return self._odds(transition_offsets(labels, q, matrix)), matrix

    @cached_property
    def _rival(self) -> Odds:
        labels, q = self._labels_and_probabilities
        return self._odds(np.zeros(len(self)) if q is None else rival_offsets(labels, q))

    def _odds(self, offsets: NDArray[np.float64]) -> Odds:
        return Odds(self.table, offsets)

    @cached_property
    def _given(self) -> NDArray[np.float64]:
        return self._odds(np.zeros(len(self))).given()

    @property
    def _labels_and_probabilities(
        self,
    ) -> tuple[NDArray[np.intp], NDArray[np.float64] | None]:
        """Given classes, and class probabilities of the ensemble where they are known."""
        if self.labels is None:
            raise InvalidDataError("the targets are no classes; choose another score")
        classes = self.run.classes or 0
        if not supports(self.members.backend, SupportsLogits) or classes * len(self) > LARGEST:
            return self.labels, None
        logits, kept = self.predictions()
        trained = softmax(logits)
        return self.labels, with_given(
            self.labels, self._given, (1 - SHARE) * kept + SHARE * trained
        )

    def _remarks(self) -> list[str]:
        return []

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

    def _pair(self, test: Any) -> tuple[MemberTable, MemberTable]:
        tests, train = (table.bounded(self.floor, self.ceiling) for table in self._raw_pair(test))
        how = self.weighting
        solved = (
            self._solved if train.losses is self.table.losses else how.solve(train, self.output)
        )
        return how.tests(tests, solved, self.output), how.train(train, self.output)

    def _raw_pair(self, test: Any) -> tuple[LossTable, LossTable]:
        """Losses of members on test and training data, in evaluation mode, without gaps."""
        evaluated = self.run.plan is None or self.run.plan.scoring == "evaluated"
        if evaluated and test is None:
            return self.table if self.test_table is None else self.test_table, self.table
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

    @cached_property
    def _solved(self) -> NDArray[np.float64] | None:
        """The solve of the ridge over all members."""
        return self.weighting.solve(self.table, self.output)

    @cached_property
    def _kept_on_data(self) -> LossTable:
        return self.members.evaluate(self.data)

    @cached_property
    def _findings(self) -> tuple[Finding, ...]:
        return tuple(diagnose(self))

    @cached_property
    def _default_suspects(self) -> Suspects:
        return self._suspects("auto", None)

    @cached_property
    def _predictions(self) -> Predictions:
        probabilities = self.members.probabilities(self.data)
        return Predictions(self.members.checkpoint_logits(self.data), probabilities)
