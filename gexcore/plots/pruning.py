"""Curves of accuracy against the share of kept samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from gexcore.errors import InvalidDataError
from gexcore.plots.palette import ACCENT, INK, QUIET, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gexcore.decisions.curve import CurvePoint


LINES = ("-", "--", ":", "-.")


def plot_pruning_curve(
    *curves: Sequence[CurvePoint],
    others: Mapping[str, Sequence[Sequence[CurvePoint]]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Accuracy against the share of kept samples, by score and at random.

    Parameters
    ----------
    *curves : sequence of CurvePoint
        Curves of `gexcore.decisions.curve.pruning_curve` with the same shares, one per seed. The
        line is their mean, and the band is their range.
    others : mapping, optional
        Curves by other scores, by their names. They are drawn as their means.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    InvalidDataError
        If there is no curve, or curves have different shares.

    Examples
    --------
    >>> import matplotlib.figure
    >>> from gexcore.decisions.curve import CurvePoint
    >>> from gexcore.plots import plot_pruning_curve
    >>> curve = [CurvePoint(1.0, 100, 0.9, 0.9), CurvePoint(0.5, 50, 0.92, 0.85)]
    >>> ax = plot_pruning_curve(curve, ax=matplotlib.figure.Figure().subplots())
    >>> [float(y) for y in ax.lines[0].get_ydata()]
    [0.9, 0.92]
    """
    rest = {} if others is None else dict(others)
    every = [*curves, *(curve for several in rest.values() for curve in several)]
    shares = {tuple(point.keep for point in curve) for curve in every}
    if not curves or not all(rest.values()) or len(shares) != 1 or shares == {()}:
        raise InvalidDataError(
            "give one curve or several of the same shares, as pruning_curve returns them"
        )
    keep = np.array(shares.pop())
    ax = new_axes(ax, (6.0, 4.0))
    lines = {
        "by score": (ACCENT, np.array([[point.accuracy for point in curve] for curve in curves])),
        "at random": (QUIET, np.array([[point.random for point in curve] for curve in curves])),
    }
    for name, (color, accuracy) in lines.items():
        ax.plot(keep, accuracy.mean(axis=0), marker="o", markersize=4, color=color, label=name)
        if len(curves) > 1:
            ax.fill_between(
                keep,
                accuracy.min(axis=0),
                accuracy.max(axis=0),
                color=color,
                alpha=0.2,
                linewidth=0,
            )
    for style, (name, several) in zip(cycle(LINES), rest.items(), strict=False):
        means = np.array([[point.accuracy for point in curve] for curve in several]).mean(axis=0)
        ax.plot(keep, means, color=INK, linewidth=0.9, linestyle=style, label=name)
    ax.set(xlabel="share of the samples kept", ylabel="test accuracy")
    ax.legend(frameon=False)
    return ax
