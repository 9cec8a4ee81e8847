"""Thresholds of suspicion scores: a procedure that may refuse, and alternatives."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions import cuts
from gexcore.decisions.cuts import Threshold as Threshold
from gexcore.decisions.guard import (
    MAX_CLASS_SHARE,
    MAX_LONE_SHARE,
    MAX_SHARE_OF_ALL,
    MAX_WITHHELD,
    guarded,
)
from gexcore.decisions.otsu import check_scores
from gexcore.errors import InvalidSettingError

ThresholdMethod = Literal["auto", "valley", "otsu", "mixture", "known_rate", "quantile"]
"""Methods of finding a threshold."""

TOLD_A_RATE = ("known_rate", "quantile")


class Suspects(NamedTuple):
    """Samples above the threshold.

    Parameters
    ----------
    indices : integer array
        Positions, most suspicious first. Empty if the threshold was refused.
    threshold : Threshold
    """

    indices: NDArray[np.intp]
    threshold: Threshold


def valley_or_refuse(scores: NDArray[Any], labels: NDArray[Any] | None = None) -> Threshold:
    """Cut suspicion scores at a valley, else by Otsu or a mixture, else refuse.

    It works on the square roots of the scores, in four steps. First, cut at the valley right of the
    main mode, if the bump beyond it is real. Second, take Otsu's cut if the two parts are far apart
    (Ashman's D ≥ 3.4 and η ≥ 0.74). Third, with 500 scores or more, cut like `mixture_cut` if the
    two distributions are clearly apart (Ashman's D ≥ 2.9). Fourth, refuse.

    A class is doubtful if more than half of it would be flagged, or more than a quarter of it and
    hardly any sample of another class. It is cleared if its own scores have two modes, with a cut
    at about the same share. Doubtful classes of at most a tenth of all samples are withheld: they
    have no suspects (`Threshold.withheld`), and the cut is found anew from the others. With larger
    ones it refuses. It also refuses if more than a third of samples without classes would be
    flagged, or if there are fewer than 50 scores, where one mode often looks like two.

    Parameters
    ----------
    scores : array, shape (samples,)
        Non-negative scores, such as mean losses clipped at 3; high = suspicious.
    labels : array, shape (samples,), optional
        Given classes. Without them all samples count as one class.

    Raises
    ------
    InvalidDataError
        If scores are not finite, or there are none.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.decisions.threshold import valley_or_refuse
    >>> rng = np.random.default_rng(0)
    >>> valley_or_refuse(rng.gamma(2.0, 0.1, 1000)).method
    'refused'
    >>> two = np.concatenate([rng.gamma(2.0, 0.05, 900), rng.normal(2.5, 0.2, 100)])
    >>> valley_or_refuse(two).method
    'valley'
    """
    most = MAX_SHARE_OF_ALL if labels is None else MAX_CLASS_SHARE
    return guarded(
        cuts.first_sure_cut, scores, labels, most=most, lone=MAX_LONE_SHARE, rare=MAX_WITHHELD
    )


def otsu_cut(scores: NDArray[Any], labels: NDArray[Any] | None = None) -> Threshold:
    """Otsu's cut of the square roots of the scores, even for clean data.

    It refuses only if all scores are equal, or if more than half of a class would be flagged.
    Parameters and errors are the same as for `valley_or_refuse`.
    """
    return guarded(cuts.by_otsu, scores, labels)


def valley_cut(scores: NDArray[Any], labels: NDArray[Any] | None = None) -> Threshold:
    """Cut at a valley, or refuse. Parameters are the same as for `valley_or_refuse`."""
    return guarded(cuts.at_valley, scores, labels)


def mixture_cut(scores: NDArray[Any], labels: NDArray[Any] | None = None) -> Threshold:
    """Cut by a mixture of two normal distributions of the square roots of the scores.

    The cut is where the upper distribution becomes the likelier one. Ashman's D ≥ 2.3 is enough, so
    it also decides for modes that overlap too much for `valley_or_refuse`. More right labels are
    then among the suspects. Parameters and errors are the same as for `valley_or_refuse`.
    """
    return guarded(cuts.by_mixture, scores, labels)


def known_rate(scores: NDArray[Any], rate: float, labels: NDArray[Any] | None = None) -> Threshold:
    """Cut below the round(rate · N) highest scores, for a known share of wrong labels.

    Parameters
    ----------
    scores, labels
        The arguments of `valley_or_refuse`. It refuses for the same classes, and if the cut would
        be between equal scores.
    rate : float
        Known share of wrong labels, above 0 and at most 0.5.

    Raises
    ------
    InvalidSettingError
        If the rate is outside this range, or means less than one sample.
    """
    count = min(round(rate * len(scores)), len(scores) // 2) if 0 < rate <= 0.5 else 0
    if not count:
        msg = (
            f"rate is {rate}, and must be a share above 0 (one of {len(scores)} samples at "
            "least) and at most 0.5"
        )
        raise InvalidSettingError(msg)

    def cut(x: NDArray[np.float64]) -> Threshold:
        below, above = np.sort(x)[len(x) - count - 1 :][:2]
        if below == above:
            reason = f"the {count} highest scores equal the next; use the scores as a ranking"
            return Threshold(None, "refused", reason)
        middle = (below + above) / 2
        reason = f"{rate:.3%} of the labels are said to be wrong: the {count} highest scores"
        return Threshold(float(middle if middle < above else below), "known_rate", reason)

    return guarded(cut, scores, labels)


def quantile(scores: NDArray[Any], rate: float) -> Threshold:
    """Cut at the (1 − rate)-quantile. This is a choice and no finding, so it never refuses.

    Parameters
    ----------
    scores : array, shape (samples,)
    rate : float
        Share to flag, above 0 and below 1. Equal scores can make it smaller.

    Raises
    ------
    InvalidSettingError
        If the share is outside this range.
    """
    if not 0 < rate < 1:
        raise InvalidSettingError(f"rate is {rate}, and must be a share above 0 and below 1")
    scores = np.asarray(scores, dtype=np.float64)
    check_scores(scores)
    value = float(np.quantile(scores, 1 - rate, method="inverted_cdf"))
    return Threshold(value, "quantile", f"the highest {rate:.3%} of the scores, as chosen")


def find_threshold(
    scores: NDArray[Any],
    labels: NDArray[Any] | None = None,
    *,
    method: ThresholdMethod = "auto",
    rate: float | None = None,
) -> Threshold:
    """A threshold by the named method.

    Parameters
    ----------
    scores, labels
        The arguments of `valley_or_refuse`.
    method : {"auto", "valley", "otsu", "mixture", "known_rate", "quantile"}
        "auto" is `valley_or_refuse`. The others are alternatives.
    rate : float
        Share for "known_rate" and "quantile" only.

    Raises
    ------
    InvalidSettingError
        If the method is unknown, or a rate is missing or superfluous.
    """
    if method in TOLD_A_RATE:
        if rate is None:
            raise InvalidSettingError(f"method {method!r} needs a rate, such as rate=0.1")
        return (
            known_rate(scores, rate, labels) if method == "known_rate" else quantile(scores, rate)
        )
    finders = {
        "auto": valley_or_refuse,
        "valley": valley_cut,
        "otsu": otsu_cut,
        "mixture": mixture_cut,
    }
    if method not in finders:
        raise InvalidSettingError(
            f"no threshold named {method!r}; allowed are {', '.join(get_args(ThresholdMethod))}"
        )
    if rate is not None:
        raise InvalidSettingError(
            f"method {method!r} finds the rate itself; leave rate out, or use 'known_rate'"
        )
    return finders[method](scores, labels)


def above(
    scores: NDArray[Any], labels: NDArray[Any] | None, threshold: Threshold
) -> NDArray[np.bool_]:
    """The suspects among samples, shape (samples,): above the threshold, of no class withheld.

    A sample without a score is no suspect. Nothing is above a threshold that was refused.
    """
    if threshold.value is None:
        return np.zeros(len(scores), dtype=bool)
    found = np.asarray(scores) > threshold.value
    return found if labels is None else found & ~np.isin(labels, threshold.withheld)
