"""Where to cut suspicion scores, or why not to: a procedure that may refuse."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.otsu import otsu

GRID = 512
MIN_BUMP_RATIO = 1.3
MIN_BUMP_Z = 3.0
MIN_ASHMAN_D = 3.4
MIN_ETA = 0.74
MAX_CLASS_SHARE = 0.5


class Threshold(NamedTuple):
    """A decision on where suspects begin.

    Parameters
    ----------
    value : float or None
        Scores above it are suspects. None: refused, the scores are a ranking only, which does
        *not* mean that the data is clean.
    method : {"valley", "otsu", "refused"}
    reason : str
        One sentence with the numbers that decided.
    """

    value: float | None
    method: Literal["valley", "otsu", "refused"]
    reason: str


class Valley(NamedTuple):
    """The deepest gap to the right of the main mode of a distribution.

    Parameters
    ----------
    position : float
    ratio : float
        Height of the bump beyond it over its own.
    z : float
        How many standard errors of the density estimate the bump stands above it.
    """

    position: float
    ratio: float
    z: float


def valley_or_refuse(scores: NDArray[Any], labels: NDArray[Any] | None = None) -> Threshold:
    """Cut suspicion scores at a valley of their distribution, else by Otsu under guards, else not at all.

    Works on the square root of the scores: cut at the valley right of the main mode if the bump
    beyond it is real; else at Otsu's cut if the two parts are far apart (Ashman's D ≥ 3.4 and
    η ≥ 0.74); else refuse. It also refuses if more than half of any given class would be flagged.

    Parameters
    ----------
    scores : array, shape (samples,)
        Non-negative, high = suspicious, such as mean losses clipped at 3.
    labels : array, shape (samples,), optional
        Given classes, for the last guard.

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
    x = np.sqrt(np.maximum(np.asarray(scores, dtype=np.float64), 0.0))
    found = _cut(x)
    if found.value is None:
        return found
    if labels is not None:
        worst, share = _largest_share(x > found.value, np.asarray(labels))
        if share > MAX_CLASS_SHARE:
            return Threshold(
                None,
                "refused",
                f"the cut would flag {share:.0%} of given class {worst}, and at most half of a class can be wrong; "
                "use the scores as a ranking",
            )
    return found._replace(value=found.value**2)


def _cut(x: NDArray[np.float64]) -> Threshold:
    gap = valley(x)
    if gap is not None and gap.ratio > MIN_BUMP_RATIO and gap.z > MIN_BUMP_Z:
        reason = f"valley between two modes (bump {gap.ratio:.1f} times the valley, {gap.z:.1f} standard errors above)"
        return Threshold(gap.position, "valley", reason)
    cut = otsu(x)
    if cut is None:
        return Threshold(None, "refused", "all scores are equal; there is nothing to separate")
    if cut.ashman_d >= MIN_ASHMAN_D and cut.eta >= MIN_ETA:
        reason = f"two parts far apart (Ashman's D {cut.ashman_d:.1f}, between-class variance {cut.eta:.0%})"
        return Threshold(cut.value, "otsu", reason)
    reason = (
        f"no separate mode (Ashman's D {cut.ashman_d:.1f}, at least {MIN_ASHMAN_D} is needed; between-class variance "
        f"{cut.eta:.0%}, at least {MIN_ETA:.0%} is needed); use the scores as a ranking"
    )
    return Threshold(None, "refused", reason)


def valley(x: NDArray[np.float64]) -> Valley | None:
    """The most marked valley right of the main mode of a kernel density estimate; None if there is none."""
    low, high = float(x.min()), float(x.max())
    if not high > low:
        return None
    spread = min(float(x.std()), float(np.subtract(*np.percentile(x, [75, 25]))) / 1.34) or float(x.std())
    step = (high - low) / GRID
    width = max(0.9 * spread * len(x) ** -0.2, 2.0 * step)
    counts, edges = np.histogram(x, bins=GRID, range=(low, high))
    reach = int(np.ceil(4 * width / step))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / width) ** 2)
    # "full" then cut: "same" would follow the longer of the two arguments
    density = np.convolve(counts, kernel / (kernel.sum() * step * len(x)))[reach : reach + GRID]
    main = int(density.argmax())
    beyond = np.maximum.accumulate(density[::-1])[::-1]  # highest point from here to the right
    before = np.minimum.accumulate(density[main:])  # lowest point since the main mode
    # standard error of a difference of two density estimates
    error = np.sqrt((beyond[main:] + density[main:]) / (2 * np.sqrt(np.pi) * len(x) * width))
    z = (beyond[main:] - density[main:]) / np.maximum(error, 1e-300)
    lowest = (density[main:] <= before) & (beyond[main:] > density[main:])
    if not lowest.any():
        return None
    at = int(np.where(lowest, z, -np.inf).argmax())
    ratio = float(beyond[main + at] / max(density[main + at], 1e-300))
    return Valley(float(edges[main + at] + step / 2), ratio, float(z[at]))


def _largest_share(flagged: NDArray[np.bool_], labels: NDArray[Any]) -> tuple[Any, float]:
    classes, codes = np.unique(labels, return_inverse=True)
    share = np.bincount(codes, weights=flagged) / np.bincount(codes)
    return classes[share.argmax()], float(share.max())
