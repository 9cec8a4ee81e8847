"""Suspicion of every sample of a run, with its errors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gexcore.deviations.table import groups_that_saw
from gexcore.deviations.uncertainty import interval_of_positive, log_of_positive, t_quantiles
from gexcore.errors import InvalidSettingError
from gexcore.influence.parts import checked_positions, part_suspicion
from gexcore.influence.suspicion import Score, enough_of, relearns
from gexcore.influence.transition import Confusion
from gexcore.influence.views import Views
from gexcore.influence.weighted import WeightedInfluence
from gexcore.settings import Auto


@dataclass(frozen=True, repr=False, eq=False)
class RankedInfluence(WeightedInfluence):
    """Influences, self-influences and suspicion from losses of members.

    Parameters
    ----------
    clip : float
        Clip of losses in the score "clipped_loss".
    likelihood : bool
        Whether exp(−loss) is the probability of the given class.
    several : boolean array, shape (samples, labels), or None
        Given labels, if a sample has several.
    """

    clip: float = 3.0
    likelihood: bool = True
    several: NDArray[np.bool_] | None = None

    @property
    def score(self) -> Score:
        """The score of `suspicion` by default: see there."""
        return self._views.default

    def suspicion(
        self, score: Score | Auto = "auto", *, clip: float | None = None
    ) -> NDArray[np.float64]:
        """How probably each label is wrong, shape (samples,); high = probably mislabelled.

        Parameters
        ----------
        score : {"auto", "confusion", "transition", "rival", "worst_label", "clipped_loss", \
        "both_errors", "both_losses", "plain_loss"}
            - "confusion" compares each label with the confusions of the data set that the doubts of
              the members do not explain (`gexcore.influence.confusions`). It is log (1 + odds) of a
              wrong label, in nats; without such confusions it is −log p.
            - "transition" compares each label with the confusions of the data set: a label is more
              suspicious if many samples of its most probable class are labelled so. It is
              log (1 + odds) of a wrong label, in nats; with equal confusions it is −log p.
            - "rival" is log (1 + q ÷ p), in nats, for the probabilities p of the given class and q
              of the most probable other class.
            - "worst_label" is for several labels of each sample: the largest log (1 + odds) of a
              wrong label among them, in nats (`gexcore.influence.several.WorstLabel`).
            - "clipped_loss" is the mean over members of min(loss, clip), in units of the loss.
            - "both_errors" is for squared errors: the mean over members of √min(loss, clip), and
              the same of θ*, added, in units of the target.
            - "both_losses" is the mean clipped loss and the clipped loss of θ*, each divided by its
              median, and added.
            - "plain_loss" is the loss of θ*, the baseline.

            "auto" is "confusion" where exp(−loss) is the probability of the given class,
            "worst_label" for several labels of zeros and ones, "both_errors" for squared errors,
            and "clipped_loss" for other losses. If members relearned data without classes, it is
            "both_losses", and "plain_loss" without a member.
        clip : float, optional
            Clip of "clipped_loss", which is then the default, so that a few exploding losses do not
            decide a mean. It is max(3, 2.5 ln K) if not given, or three times the loss of a guess
            for other losses.

        Raises
        ------
        InvalidSettingError
            For another score, for a clip of a score without one, and for odds of classes
            where exp(−loss) is no probability of a class.

        Notes
        -----
        "worst_label" and odds of classes need probabilities of classes or labels: one pass
        over the data for each kept member and one for θ*, at the first call. Without logits, or
        with more than 2²⁷ probabilities, "confusion" and "transition" use losses alone, and "rival"
        is −log p.
        With fewer than eight members, or two that relearned, θ* takes the places of the missing
        ones. A few members alone are worse than plain loss. A sample that no member saw has the
        score of θ* alone.
        """
        if clip is not None and score == "auto":
            score = "clipped_loss"
        return self._views.view(score, clip).scores()

    def part_suspicion(self, positions: Any = None) -> NDArray[np.float64]:
        """How probably the label of each part is wrong, shape (samples, …); high = probably wrong.

        A part is one label of several, a token, a pixel or an output. The shape is that of the
        targets. NaN where there is no label, and behind the end of shorter samples.

        Parameters
        ----------
        positions : integer array, optional
            Distinct positions of samples, such as those of ``ranking(100)``. All by default.

        Returns
        -------
        array
            −log of the probability of the label, in nats: 0.9 of the mean over kept members and
            0.1 of θ*. For several labels of zeros and ones it is log (1 + odds) of a wrong label,
            and the largest one is `suspicion`. For squared errors it is the mean of the clipped
            error of the output.

        Raises
        ------
        InvalidDataError
            If a sample has one part only, if all parts are more than 2²⁷, or for wrong positions.
        MissingCapabilityError
            If the backend has no losses of parts, such as for a loss of your own.

        Notes
        -----
        It costs a pass over these samples for each kept member and one for θ*. For several labels
        it costs nothing more than `suspicion`.

        Examples
        --------
        >>> import numpy as np
        >>> import gexcore as gx
        >>> from gexcore_numpy import MLP
        >>> x = np.random.default_rng(0).normal(size=(60, 2))
        >>> y = x + [0.0, 1.0]
        >>> y[7, 1] = 9.0
        >>> model = MLP([np.eye(2)], [np.array([0.0, 1.0])])
        >>> gex = gx.GEX(chains=2, snapshots=4)
        >>> found = gex.fit(model, (x, y), loss="squared_error", progress=False)
        >>> parts = found.part_suspicion(found.ranking(1))
        >>> found.ranking(1), parts.argmax(axis=1)
        (array([7]), array([1]))
        """
        chosen = checked_positions(positions, len(self))
        found = self._views.parts
        if found is not None:
            return found[chosen]
        missing = max(0, self._views.enough - len(self.table)) / self._views.enough
        clip = self.clip if self.output == "root" else None
        return part_suspicion(self.members, self.data, chosen, share=missing, clip=clip)

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
            return self._views.view().standard_error()
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
        of chains that saw the sample minus one. Intervals of self-influence are on its logarithm,
        because it has a long tail. From three chains on, the error of a logarithm is at least the
        median of all samples. A single chain counts as its consecutive parts, which are related:
        its intervals are then too short.

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
        freedom = groups_that_saw(self.table) - 1
        if of == "self_influence":
            error = self._own().standard_error(log_of_positive)
            return interval_of_positive(self.self_influence(), error, freedom, level)
        scores, far = self.suspicion(), self.standard_error(of=of) * t_quantiles(level, freedom)
        return scores - far, scores + far

    def reliability(self, *, of: Literal["suspicion", "self_influence"] = "suspicion") -> float:
        """Expected correlation of a score between two such runs, at most 1.

        It follows from the agreement of two halves of the members: see
        `gexcore.deviations.halves.split_half`. E[Δ²] counts with its root. The number shows
        the noise between runs. It does not show whether the score finds wrong labels. NaN if it is
        unknown.
        """
        if of == "suspicion":
            return self._views.view().reliability()
        if of != "self_influence":
            raise InvalidSettingError(
                f"no reliability of {of!r}; allowed are 'suspicion' and 'self_influence'"
            )
        return super().reliability()

    def confusion(self) -> Confusion | None:
        """The largest confusion of the data set; None for two classes, or if it is unknown."""
        return self._views.confusion()

    @cached_property
    def _views(self) -> Views:
        return Views(
            self.table,
            self.labels,
            self.members,
            self.data,
            self.run.classes,
            self.likelihood,
            self.clip,
            enough_of(self.run.plan),
            relearns(self.run.plan),
            self.several,
            self.output == "root",
        )
