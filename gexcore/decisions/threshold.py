"""Where to cut suspicion scores, or why not to: a procedure that may refuse, and alternatives to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.mixture import fit_mixture
from gexcore.decisions.otsu import check_scores, otsu
from gexcore.decisions.valley import valley
from gexcore.errors import InvalidSettingError

MIN_BUMP_RATIO = 1.3
MIN_BUMP_Z = 3.0
MIN_ASHMAN_D = 3.4
MIN_ETA = 0.74
MAX_CLASS_SHARE = 0.5
MIN_CLASS_SIZE = 5
"""Of a smaller class one wrong label is too large a share to say anything."""
MAX_LONE_SHARE = 0.25
LONE = 0.9
"""Members that half forget one class look like one class with many wrong labels: not told apart, it refuses."""
MIN_SAMPLES = 50
MIN_MIXTURE_D = 2.3
"""A mixture fitted to a thousand scores of one mode has an Ashman's D of up to 2.2 by itself."""

Method = Literal["auto", "valley", "otsu", "mixture", "known_rate", "quantile"]
"""How a threshold is found."""

TOLD_A_RATE = ("known_rate", "quantile")


class Threshold(NamedTuple):
    """A decision on where suspects begin.

    Parameters
    ----------
    value : float or None
        Scores above it are suspects. None: refused, the scores are a ranking only, which does
        *not* mean that the data is clean.
    method : {"valley", "otsu", "mixture", "known_rate", "quantile", "refused"}
    reason : str
        One sentence with the numbers that decided.
    clip : float or None
        What `value` is a cut on: `Influence.suspicion` with losses clipped here, which is less than
        for the published ranking. None: on the scores as they were given.
    """

    value: float | None
    method: Literal["valley", "otsu", "mixture", "known_rate", "quantile", "refused"]
    reason: str
    clip: float | None = None


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


Cut = Callable[[NDArray[np.float64]], Threshold]
"""Of the square roots of scores."""


def valley_or_refuse(scores: NDArray[Any], labels: NDArray[Any] | None = None) -> Threshold:
    """Cut suspicion scores at a valley of their distribution, else by Otsu under guards, else not at all.

    Works on the square root of the scores: cut at the valley right of the main mode if the bump
    beyond it is real; else at Otsu's cut if the two parts are far apart (Ashman's D ≥ 3.4 and
    η ≥ 0.74); else refuse. It also refuses if more than half of any given class would be flagged,
    if more than a quarter of one class and hardly any sample of another would be, and below 50
    scores, where parts of one mode often look like two.

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
    return _guarded(_cut, scores, labels, lone=MAX_LONE_SHARE)


def otsu_cut(scores: NDArray[Any], labels: NDArray[Any] | None = None) -> Threshold:
    """Otsu's cut of the square roots of the scores, however close the parts; it cuts clean data as well.

    It refuses only where all scores are equal, or where more than half of a class would be flagged.
    Parameters and errors are those of `valley_or_refuse`.
    """
    return _guarded(_otsu, scores, labels)


def valley_cut(scores: NDArray[Any], labels: NDArray[Any] | None = None) -> Threshold:
    """As `valley_or_refuse`, by a valley or not at all."""
    return _guarded(_valley, scores, labels)


def mixture_cut(scores: NDArray[Any], labels: NDArray[Any] | None = None) -> Threshold:
    """Cut where the upper of two normal distributions, fitted to the square roots of the scores, is the likelier.

    It decides where the modes overlap too much for `valley_or_refuse` (Ashman's D ≥ 2.3 is enough),
    at the price of more right labels among the suspects. Parameters and errors are those of
    `valley_or_refuse`.
    """
    return _guarded(_mixture, scores, labels)


def known_rate(scores: NDArray[Any], rate: float, labels: NDArray[Any] | None = None) -> Threshold:
    """Cut below the round(rate · N) highest scores, where that share of labels is known to be wrong.

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
        msg = f"rate is {rate}, and must be a share above 0 (one of {len(scores)} samples at least) and at most 0.5"
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
    scores: NDArray[Any], labels: NDArray[Any] | None = None, *, method: Method = "auto", rate: float | None = None
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
        return known_rate(scores, rate, labels) if method == "known_rate" else quantile(scores, rate)
    cuts = {"auto": valley_or_refuse, "valley": valley_cut, "otsu": otsu_cut, "mixture": mixture_cut}
    if method not in cuts:
        raise InvalidSettingError(f"no threshold named {method!r}; allowed are {', '.join(get_args(Method))}")
    if rate is not None:
        raise InvalidSettingError(f"method {method!r} finds the rate itself; leave rate out, or use 'known_rate'")
    return cuts[method](scores, labels)


def _guarded(cut: Cut, scores: NDArray[Any], labels: NDArray[Any] | None, *, lone: float = 1.0) -> Threshold:
    """A cut of the square roots, on the scale of the scores.

    Refused if it would flag most of a class, or more than a share `lone` of one class and hardly any other sample.
    """
    x = np.sqrt(np.maximum(np.asarray(scores, dtype=np.float64), 0.0))
    check_scores(x)
    found = cut(x)
    if found.value is None:
        return found
    worst, share, part = _most_flagged(x > found.value, labels)
    if share > MAX_CLASS_SHARE:
        reason = f"the cut would flag {share:.0%} of {worst}, of which at most half can be wrong; use the scores as a ranking"
        return Threshold(None, "refused", reason)
    if share > lone and part > LONE and labels is not None:
        reason = (
            f"the cut would flag {share:.0%} of {worst} and hardly any other sample, as it does where members forgot "
            "one class; use the scores as a ranking, or name a method if that class has many wrong labels"
        )
        return Threshold(None, "refused", reason)
    return found._replace(value=found.value**2)


def _cut(x: NDArray[np.float64]) -> Threshold:
    found = _valley(x)
    cut = None if found.value is not None or len(x) < MIN_SAMPLES else otsu(x)
    if cut is None:
        return found
    if cut.ashman_d >= MIN_ASHMAN_D and cut.eta >= MIN_ETA:
        reason = f"two parts far apart (Ashman's D {cut.ashman_d:.1f}, between-class variance {cut.eta:.0%})"
        return Threshold(cut.value, "otsu", reason)
    reason = (
        f"no separate mode (Ashman's D {cut.ashman_d:.1f}, at least {MIN_ASHMAN_D} is needed; between-class variance "
        f"{cut.eta:.0%}, at least {MIN_ETA:.0%} is needed); use the scores as a ranking"
    )
    return Threshold(None, "refused", reason)


def _valley(x: NDArray[np.float64]) -> Threshold:
    refusal = _equal_or_few(x)
    if refusal is not None:
        return refusal
    gap = valley(x)
    if gap is None or gap.ratio <= MIN_BUMP_RATIO or gap.z <= MIN_BUMP_Z:
        reason = "no valley between two modes of the scores; use them as a ranking"
        return Threshold(None, "refused", reason)
    times = f"{gap.ratio:.1f}" if gap.ratio < 100 else "over 100"
    reason = f"valley between two modes (bump {times} times the valley, {gap.z:.1f} standard errors above)"
    return Threshold(gap.position, "valley", reason)


def _otsu(x: NDArray[np.float64]) -> Threshold:
    cut = otsu(x)
    if cut is None:
        return _EQUAL
    reason = f"Otsu's cut (Ashman's D {cut.ashman_d:.1f}, between-class variance {cut.eta:.0%})"
    return Threshold(cut.value, "otsu", reason)


def _mixture(x: NDArray[np.float64]) -> Threshold:
    refusal = _equal_or_few(x)
    if refusal is not None:
        return refusal
    found = fit_mixture(x)
    cut = None if found is None else found.cut()
    if found is None or cut is None or found.ashman_d < MIN_MIXTURE_D:
        told = (
            "no second one" if found is None else f"Ashman's D {found.ashman_d:.1f}, at least {MIN_MIXTURE_D} is needed"
        )
        reason = f"no two normal distributions apart in the scores ({told}); use them as a ranking"
        return Threshold(None, "refused", reason)
    reason = (
        f"two normal distributions (Ashman's D {found.ashman_d:.1f}, the upper one {found.share:.1%} of the samples)"
    )
    return Threshold(cut, "mixture", reason)


_EQUAL = Threshold(None, "refused", "all scores are equal; there is nothing to separate")


def _equal_or_few(x: NDArray[np.float64]) -> Threshold | None:
    if not x.max() > x.min():
        return _EQUAL
    if len(x) < MIN_SAMPLES:
        reason = f"{len(x)} scores are too few to tell two modes from one, at least {MIN_SAMPLES} are needed"
        return Threshold(None, "refused", f"{reason}; use the scores as a ranking")
    return None


def _most_flagged(flagged: NDArray[np.bool_], labels: NDArray[Any] | None) -> tuple[str, float, float]:
    """The class with the largest share flagged, that share, and its part of all that are flagged."""
    if labels is None:
        return "the samples", float(flagged.mean()), 1.0
    classes, codes = np.unique(np.asarray(labels), return_inverse=True)
    counts, sizes = np.bincount(codes, weights=flagged), np.bincount(codes)
    share = np.where(sizes >= MIN_CLASS_SIZE, counts / sizes, 0.0)
    worst = share.argmax()
    return f"given class {classes[worst]}", float(share[worst]), float(counts[worst] / max(1.0, counts.sum()))
