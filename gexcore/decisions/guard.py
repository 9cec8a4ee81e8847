"""A guard of cuts: classes that members half forgot look like classes with many wrong labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions import cuts
from gexcore.decisions.cuts import Threshold
from gexcore.decisions.otsu import check_scores

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


def guarded(
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
