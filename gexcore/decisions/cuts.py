"""Cuts of the square roots of scores: by a valley, by a mixture, or by Otsu."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.mixture import fit_mixture
from gexcore.decisions.otsu import otsu
from gexcore.decisions.valley import valley

MIN_BUMP_RATIO = 1.3
MIN_BUMP_Z = 3.0
MIN_ASHMAN_D = 3.4
MIN_ETA = 0.74
MIN_SAMPLES = 50
MIN_MIXTURE_D = 2.3
"""The least Ashman's D of a mixture with two modes. A thousand scores of one mode reach 2.2."""

SURE_MIXTURE_D = 2.9
"""Ashman's D of a sure mixture: no mixture of 500 scores or more with one mode reached it."""

SURE_MIXTURE_SAMPLES = 500
"""The least scores of a sure mixture. With 200 scores one mixture in thirty was misleading."""


class Threshold(NamedTuple):
    """A decision on where suspects begin.

    Parameters
    ----------
    value : float or None
        Scores above it are suspects. None means refused: the scores are only a ranking. It does
        *not* mean that the data is clean.
    method : {"valley", "otsu", "mixture", "known_rate", "quantile", "refused"}
    reason : str
        One sentence with the numbers that decided.
    clip : float or None
        Clip of the losses of the scores that `value` cuts, lower than for the published ranking.
        None means scores as they were given.
    withheld : tuple of int
        Given classes without suspects: the cut would flag most of each, without two modes in it.
    """

    value: float | None
    method: Literal["valley", "otsu", "mixture", "known_rate", "quantile", "refused"]
    reason: str
    clip: float | None = None
    withheld: tuple[int, ...] = ()


Cut = Callable[[NDArray[np.float64]], Threshold]
"""A function from square roots of scores to a threshold."""


def first_sure_cut(x: NDArray[np.float64]) -> Threshold:
    """Cut at a valley, else by Otsu if the parts are far apart, else by a clear mixture."""
    found = at_valley(x)
    cut = None if found.value is not None or len(x) < MIN_SAMPLES else otsu(x)
    if cut is None:
        return found
    if cut.ashman_d >= MIN_ASHMAN_D and cut.eta >= MIN_ETA:
        reason = (
            f"two parts far apart (Ashman's D {cut.ashman_d:.1f}, between-class variance "
            f"{cut.eta:.0%})"
        )
        return Threshold(cut.value, "otsu", reason)
    mixed = by_mixture(x, min_d=SURE_MIXTURE_D) if len(x) >= SURE_MIXTURE_SAMPLES else None
    if mixed is not None and mixed.value is not None:
        return mixed
    reason = (
        f"no separate mode (Ashman's D {cut.ashman_d:.2f}, at least {MIN_ASHMAN_D} is needed; "
        f"between-class variance {cut.eta:.1%}, at least {MIN_ETA:.0%} is needed); use the scores "
        "as a ranking"
    )
    return Threshold(None, "refused", reason)


def at_valley(x: NDArray[np.float64]) -> Threshold:
    """Cut at the valley right of the main mode, if the bump beyond it is real."""
    refusal = _equal_or_few(x)
    if refusal is not None:
        return refusal
    gap = valley(x)
    if gap is None or gap.ratio <= MIN_BUMP_RATIO or gap.z <= MIN_BUMP_Z:
        reason = "no valley between two modes of the scores; use them as a ranking"
        return Threshold(None, "refused", reason)
    times = f"{gap.ratio:.1f}" if gap.ratio < 100 else "over 100"
    reason = (
        f"valley between two modes (bump {times} times the valley, {gap.z:.1f} standard errors "
        "above)"
    )
    return Threshold(gap.position, "valley", reason)


def by_otsu(x: NDArray[np.float64]) -> Threshold:
    """Cut by Otsu, however close the parts are."""
    cut = otsu(x)
    if cut is None:
        return _EQUAL
    reason = f"Otsu's cut (Ashman's D {cut.ashman_d:.1f}, between-class variance {cut.eta:.0%})"
    return Threshold(cut.value, "otsu", reason)


def by_mixture(x: NDArray[np.float64], *, min_d: float = MIN_MIXTURE_D) -> Threshold:
    """Cut where the upper of two fitted normal distributions becomes the likelier one."""
    refusal = _equal_or_few(x)
    if refusal is not None:
        return refusal
    found = fit_mixture(x)
    cut = None if found is None else found.cut()
    if found is None or cut is None or found.ashman_d < min_d:
        told = (
            "no second one"
            if found is None
            else f"Ashman's D {found.ashman_d:.2f}, at least {min_d} is needed"
        )
        reason = f"no two normal distributions apart in the scores ({told}); use them as a ranking"
        return Threshold(None, "refused", reason)
    reason = (
        f"two normal distributions (Ashman's D {found.ashman_d:.1f}, the upper one "
        f"{found.share:.1%} of the samples)"
    )
    return Threshold(cut, "mixture", reason)


_EQUAL = Threshold(None, "refused", "all scores are equal; there is nothing to separate")


def _equal_or_few(x: NDArray[np.float64]) -> Threshold | None:
    if not x.max() > x.min():
        return _EQUAL
    if len(x) < MIN_SAMPLES:
        reason = (
            f"{len(x)} scores are too few to tell two modes from one, at least {MIN_SAMPLES} are "
            "needed"
        )
        return Threshold(None, "refused", f"{reason}; use the scores as a ranking")
    return None
