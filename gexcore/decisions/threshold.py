"""Thresholds of suspicion scores: a procedure that may refuse, and alternatives."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions import cuts
from gexcore.decisions.cuts import Threshold as Threshold
from gexcore.decisions.otsu import check_scores
from gexcore.errors import InvalidSettingError

MAX_CLASS_SHARE = 0.5
"""The largest share of a class that may be flagged, unless its own scores have two modes."""

MAX_SHARE_OF_ALL = 1 / 3
"""The largest share that "auto" may flag without classes. Other methods may flag half."""

MIN_CLASS_SIZE = 5
"""Samples of the smallest class that is checked for a large flagged share."""

MAX_LONE_SHARE = 0.25
"""The largest share of a class that may be flagged nearly alone, unless it has two modes."""

LONE = 0.9
"""Share of all flagged samples in one class from which on a cut is doubtful.

Members that half forget one class look like one class with many wrong labels.
"""

MAX_WITHHELD = 0.1
"""The largest part of all samples in classes that are withheld: a few rare classes."""

SAME_SHARE = 0.1
"""Largest difference between the flagged shares of a class by its own cut and by that of all."""

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
    return _guarded(
        cuts.first_sure_cut, scores, labels, most=most, lone=MAX_LONE_SHARE, rare=MAX_WITHHELD
    )


def otsu_cut(scores: NDArray[Any], labels: NDArray[Any] | None = None) -> Threshold:
    """Otsu's cut of the square roots of the scores, even for clean data.

    It refuses only if all scores are equal, or if more than half of a class would be flagged.
    Parameters and errors are the same as for `valley_or_refuse`.
    """
    return _guarded(cuts.by_otsu, scores, labels)


def valley_cut(scores: NDArray[Any], labels: NDArray[Any] | None = None) -> Threshold:
    """Cut at a valley, or refuse. Parameters are the same as for `valley_or_refuse`."""
    return _guarded(cuts.at_valley, scores, labels)


def mixture_cut(scores: NDArray[Any], labels: NDArray[Any] | None = None) -> Threshold:
    """Cut by a mixture of two normal distributions of the square roots of the scores.

    The cut is where the upper distribution becomes the likelier one. Ashman's D ≥ 2.3 is enough, so
    it also decides for modes that overlap too much for `valley_or_refuse`. More right labels are
    then among the suspects. Parameters and errors are the same as for `valley_or_refuse`.
    """
    return _guarded(cuts.by_mixture, scores, labels)


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

    return _guarded(cut, scores, labels)


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


def _guarded(
    cut: cuts.Cut,
    scores: NDArray[Any],
    labels: NDArray[Any] | None,
    *,
    most: float = MAX_CLASS_SHARE,
    lone: float = 1.0,
    rare: float = 0.0,
) -> Threshold:
    """A cut of the square roots, on the scale of the scores.

    A class is doubtful if the cut flags more than a share `most` of it. It is also doubtful if the
    cut flags more than a share `lone` of it and hardly any other sample. Members that forgot a
    class look so. A class is cleared if its own scores have two modes with the cut between them.
    Doubtful classes are withheld, and the cut is found anew from the others. It is refused if
    doubtful classes are more than a part `rare` of the samples.
    """
    x = np.sqrt(np.maximum(np.asarray(scores, dtype=np.float64), 0.0))
    check_scores(x)
    given = None if labels is None else np.asarray(labels)
    kept, refusal = np.ones(len(x), dtype=bool), ""
    withheld: list[int] = []
    while (~kept).mean() <= rare:
        found = cut(x[kept])
        if found.value is None:
            return found._replace(reason=refusal) if refusal else found
        # where some classes were forgotten, others may be half forgotten
        most = MAX_LONE_SHARE if withheld else most
        doubt = _doubtful(x[kept], None if given is None else given[kept], found.value, most, lone)
        if doubt is None:
            return found._replace(
                value=found.value**2,
                reason=found.reason + _withheld(withheld),
                withheld=tuple(withheld),
            )
        refusal = refusal or f"{doubt[1]}; use the scores as a ranking"
        if given is None:
            break
        kept &= given != doubt[0]
        withheld.append(int(doubt[0]))
    return Threshold(None, "refused", refusal)


def _withheld(classes: list[int]) -> str:
    if not classes:
        return ""
    several = "classes" if len(classes) > 1 else "class"
    return f"; without given {several} {', '.join(map(str, classes))}, most of which it would flag"


def _doubtful(
    x: NDArray[np.float64], labels: NDArray[Any] | None, value: float, most: float, lone: float
) -> tuple[Any, str] | None:
    """The most doubtful class, and why; None if there is none."""
    flagged = x > value
    if labels is None:
        share = float(flagged.mean())
        reason = f"the cut would flag {share:.0%} of the samples, and at most {most:.0%} is allowed"
        return (None, reason) if share > most else None
    classes, codes = np.unique(labels, return_inverse=True)
    counts, sizes = np.bincount(codes, weights=flagged), np.bincount(codes)
    shares = np.where(sizes >= MIN_CLASS_SIZE, counts / sizes, 0.0)
    part = counts / max(1.0, counts.sum())
    for worst in np.argsort(-shares, kind="stable"):
        alone = shares[worst] > lone and part[worst] > LONE
        if (shares[worst] > most or alone) and not _two_modes(x[codes == worst], value):
            told = f"the cut would flag {shares[worst]:.0%} of given class {classes[worst]}"
            why = (
                ", of which at most half can be wrong"
                if shares[worst] > MAX_CLASS_SHARE
                else " and hardly any other sample, as it does where members forgot one class"
                if alone
                else ", as it does where members half forgot it"
            )
            return classes[worst], told + why
    return None


def _two_modes(x: NDArray[np.float64], value: float) -> bool:
    """Whether the scores of one class have two modes, and a cut at about the same share."""
    own = cuts.first_sure_cut(x)
    return own.value is not None and abs((x > own.value).mean() - (x > value).mean()) <= SAME_SHARE
