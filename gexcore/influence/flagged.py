"""Suspects of a run: a threshold on its score, or a refusal if the run does not carry one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.cuts import Threshold
from gexcore.decisions.noise_rate import noise_rate
from gexcore.decisions.threshold import Suspects, ThresholdMethod, above, find_threshold
from gexcore.deviations.ranking import highest
from gexcore.influence.influence import NO_MEMBERS
from gexcore.influence.views import Views

MIN_AGREEMENT = 0.7
"""The least agreement of two halves on the suspects.

Below it, the suspects are often parts of classes that members have half forgotten.
"""

LEAST_MEMBERS = 3
"""The least members for two halves: the short run of a heavy model has three."""

LEAST_PROBABILITY = 0.1
"""The least median probability of a wrong label among the suspects."""


def flagged(views: Views, method: ThresholdMethod = "auto", rate: float | None = None) -> Suspects:
    """Samples above a threshold of a run's scores, most suspicious first.

    Parameters
    ----------
    views : Views
        The scores of the run.
    method : str
        Method of `gexcore.decisions.threshold.find_threshold`. "auto" may refuse.
    rate : float, optional
    """
    none = np.empty(0, np.intp)
    if not len(views.table):
        return Suspects(none, Threshold(None, "refused", NO_MEMBERS))
    scores = views.for_thresholds.scores()
    found = find_threshold(scores, views.labels, method=method, rate=rate)._replace(
        clip=views.threshold_clip
    )
    if method == "auto":
        found = _sure(_agreed(found, views), scores, views.labels)
        found = _probable(found, scores) if views.default == "worst_label" else found
    if found.value is None:
        return Suspects(none, found)
    indices = np.flatnonzero(above(scores, views.labels, found))
    return Suspects(indices[highest(views.view().scores()[indices])], found)


def _agreed(found: Threshold, views: Views) -> Threshold:
    """The threshold, or a refusal if halves of the ensemble do not agree on the suspects."""
    if found.value is None:
        return found
    if len(views.table) < LEAST_MEMBERS:
        return _refused(
            found,
            f"the ensemble has {len(views.table)} members, at least {LEAST_MEMBERS} are "
            "needed to compare its halves; use the scores as a ranking, or raise the budget",
        )
    agreement = views.for_thresholds.agreement_above(found.value)
    if not agreement < MIN_AGREEMENT:  # NaN: nothing can be compared
        return found
    return _refused(
        found,
        f"two halves of the ensemble have {agreement:.0%} of their suspects in common, at least "
        f"{MIN_AGREEMENT:.0%} are needed; use the scores as a ranking",
    )


def _sure(
    found: Threshold, scores: NDArray[np.float64], labels: NDArray[np.intp] | None
) -> Threshold:
    """The threshold, or a refusal if resampled data without classes may have none."""
    if found.value is None or labels is not None or noise_rate(scores).low > 0:
        return found
    return _refused(
        found,
        "some resampled data have no threshold, so that the interval of the noise rate reaches "
        "0; use the scores as a ranking",
    )


def _probable(found: Threshold, scores: NDArray[np.float64]) -> Threshold:
    """The threshold on log (1 + odds), or a refusal if the labels above it are nearly sure."""
    if found.value is None:
        return found
    probability = -np.expm1(-np.median(scores[scores > found.value]))
    if probability >= LEAST_PROBABILITY:
        return found
    return _refused(
        found,
        f"half of the suspects have a label that is wrong with a probability below "
        f"{probability:.1%}, and {LEAST_PROBABILITY:.0%} are needed; use the scores as a ranking",
    )


def _refused(found: Threshold, reason: str) -> Threshold:
    return found._replace(value=None, method="refused", reason=reason)
