"""Where to cut suspicion scores, or why not to: a procedure that may refuse, and alternatives to
it."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions import cuts
from gexcore.decisions.cuts import Threshold as Threshold
from gexcore.decisions.otsu import check_scores
from gexcore.errors import InvalidSettingError

MAX_CLASS_SHARE = 0.5
MIN_CLASS_SIZE = 5
"""Of a smaller class one wrong label is too large a share to say anything."""
MAX_LONE_SHARE = 0.25
LONE = 0.9
"""Members that half forget one class look like one class with many wrong labels: not told apart, it
refuses."""
Method = Literal["auto", "valley", "otsu", "mixture", "known_rate", "quantile"]
"""How a threshold is found."""

TOLD_A_RATE = ("known_rate", "quantile")


class Suspects(NamedTuple):
    """Samples above the threshold.

    Parameters
    ----------
    indices : integer array
        Most suspicious first; empty where the threshold was refused.
    threshold : Threshold
    """

    indices: NDArray[np.intp]
    threshold: Threshold


def valley_or_refuse(scores: NDArray[Any], labels: NDArray[Any] | None = None) -> Threshold:
    """Cut suspicion scores at a valley of their distribution, else under guards by Otsu or a
    mixture, else not at all.

    Works on the square root of the scores: cut at the valley right of the main mode if the bump
    beyond it is real; else at Otsu's cut if the two parts are far apart (Ashman's D ≥ 3.4 and
    η ≥ 0.74); else, of 500 scores or more, as `mixture_cut` does if its two distributions are
    farther apart (Ashman's D ≥ 2.9) than one mode ever looks; else refuse. It also refuses if more
    than half of any given class would be flagged, if more than a quarter of one class and hardly
    any sample of another would be, and below 50 scores, where parts of one mode often look like
    two.

    Parameters
    ----------
    scores : array, shape (samples,)
        Non-negative, high = suspicious, such as mean losses clipped at 3.
    labels : array, shape (samples,), optional
        Given classes; without them all samples count as one class.

    Raises
    ------
    InvalidDataError
        For scores that are not finite, or none at all.

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
    return _guarded(cuts.first_sure_cut, scores, labels, lone=MAX_LONE_SHARE)


def otsu_cut(scores: NDArray[Any], labels: NDArray[Any] | None = None) -> Threshold:
    """Otsu's cut of the square roots of the scores, however close the parts; it cuts clean data as
    well.

    It refuses only where all scores are equal, or where more than half of a class would be flagged.
    Parameters and errors are those of `valley_or_refuse`.
    """
    return _guarded(cuts.otsu_cut, scores, labels)


def valley_cut(scores: NDArray[Any], labels: NDArray[Any] | None = None) -> Threshold:
    """As `valley_or_refuse`, by a valley or not at all."""
    return _guarded(cuts.valley_cut, scores, labels)


def mixture_cut(scores: NDArray[Any], labels: NDArray[Any] | None = None) -> Threshold:
    """Cut where the upper of two normal distributions, fitted to the square roots of the scores, is
    the likelier.

    It decides where the modes overlap too much for `valley_or_refuse` (Ashman's D ≥ 2.3 is enough),
    at the price of more right labels among the suspects. Parameters and errors are those of
    `valley_or_refuse`.
    """
    return _guarded(cuts.mixture_cut, scores, labels)


def known_rate(scores: NDArray[Any], rate: float, labels: NDArray[Any] | None = None) -> Threshold:
    """Cut below the round(rate · N) highest scores, where that share of labels is known to be
    wrong.

    Parameters
    ----------
    scores, labels
        As for `valley_or_refuse`; it refuses for the same classes, and where the cut would have to
        go between equal scores.
    rate : float
        Above 0, at most 0.5.

    Raises
    ------
    InvalidSettingError
        For a rate outside, or of less than one sample.
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

    return _guarded(cut, scores, labels)


def quantile(scores: NDArray[Any], rate: float) -> Threshold:
    """Cut at the (1 − rate)-quantile: a choice, not a finding, so nothing makes it refuse.

    Parameters
    ----------
    scores : array, shape (samples,)
    rate : float
        Share to flag, above 0 and below 1; fewer where scores are equal.

    Raises
    ------
    InvalidSettingError
        For a share outside.
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
    method: Method = "auto",
    rate: float | None = None,
) -> Threshold:
    """A threshold by the method of that name.

    Parameters
    ----------
    scores, labels
        As for `valley_or_refuse`.
    method : {"auto", "valley", "otsu", "mixture", "known_rate", "quantile"}
        "auto" is `valley_or_refuse`; the others are alternatives to it.
    rate : float
        For "known_rate" and "quantile" only.

    Raises
    ------
    InvalidSettingError
        For an unknown method, or a rate that is missing or superfluous.
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
            f"no threshold named {method!r}; allowed are {', '.join(get_args(Method))}"
        )
    if rate is not None:
        raise InvalidSettingError(
            f"method {method!r} finds the rate itself; leave rate out, or use 'known_rate'"
        )
    return finders[method](scores, labels)


def _guarded(
    cut: cuts.Cut, scores: NDArray[Any], labels: NDArray[Any] | None, *, lone: float = 1.0
) -> Threshold:
    """A cut of the square roots, on the scale of the scores.

    Refused if it would flag most of a class, or more than a share `lone` of one class and hardly
    any other sample.
    """
    x = np.sqrt(np.maximum(np.asarray(scores, dtype=np.float64), 0.0))
    check_scores(x)
    found = cut(x)
    if found.value is None:
        return found
    worst, share, part = _most_flagged(x > found.value, labels)
    if share > MAX_CLASS_SHARE:
        reason = (
            f"the cut would flag {share:.0%} of {worst}, of which at most half can be wrong; use "
            "the scores as a ranking"
        )
        return Threshold(None, "refused", reason)
    if share > lone and part > LONE and labels is not None:
        reason = (
            f"the cut would flag {share:.0%} of {worst} and hardly any other sample, as it "
            "does where members forgot "
            "one class; use the scores as a ranking, or name a method if that class has many "
            "wrong labels"
        )
        return Threshold(None, "refused", reason)
    return found._replace(value=found.value**2)


def _most_flagged(
    flagged: NDArray[np.bool_], labels: NDArray[Any] | None
) -> tuple[str, float, float]:
    """The class with the largest share flagged, that share, and its part of all that are flagged."""
    if labels is None:
        return "the samples", float(flagged.mean()), 1.0
    classes, codes = np.unique(np.asarray(labels), return_inverse=True)
    counts, sizes = np.bincount(codes, weights=flagged), np.bincount(codes)
    share = np.where(sizes >= MIN_CLASS_SIZE, counts / sizes, 0.0)
    worst = share.argmax()
    return (
        f"given class {classes[worst]}",
        float(share[worst]),
        float(counts[worst] / max(1.0, counts.sum())),
    )
