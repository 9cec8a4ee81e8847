"""Yield of a review."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gexcore.deviations.ranking import highest
from gexcore.errors import InvalidDataError
from gexcore.plots.palette import ACCENT, INK, QUIET, new_axes, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = ("-", "--", ":", "-.")


def plot_precision(
    scores: Any, wrong: Any, *, budget: int | None = None, ax: Axes | None = None
) -> Axes:
    """Share of wrong labels among the first samples of a ranking, by their number.

    Parameters
    ----------
    scores : array of shape (samples,), or dict of such arrays
        Scores, high = probably wrong. A dict gives one curve for each name.
    wrong : boolean array, shape (samples,)
        Mask of labels known to be wrong.
    budget : int, optional
        The most samples to review. The default is all.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    InvalidDataError
        If there is not one finite score per label.

    Examples
    --------
    >>> import matplotlib.figure
    >>> from gexcore.plots import plot_precision
    >>> ax = matplotlib.figure.Figure().subplots()
    >>> ax = plot_precision([0.9, 0.1, 0.8, 0.2], [True, False, False, True], budget=3, ax=ax)
    >>> [round(float(y), 2) for y in ax.lines[0].get_ydata()]
    [1.0, 0.5, 0.67]
    """
    labels = np.asarray(wrong, dtype=bool)
    rankings = scores if isinstance(scores, Mapping) else {"by score": scores}
    ax = new_axes(ax, (6.0, 4.0))
    for i, (name, values) in enumerate(rankings.items()):
        row = np.asarray(values, dtype=np.float64)
        if row.shape != labels.shape or row.ndim != 1 or not np.isfinite(row).all():
            raise InvalidDataError(
                f"{name} has shape {row.shape} for {labels.size} labels, or a value that is not "
                "finite; give one finite score per label"
            )
        found = labels[highest(row)].cumsum() / np.arange(1, len(row) + 1)
        most = len(row) if budget is None else min(budget, len(row))
        color, style = (ACCENT, "-") if i == 0 else (INK, LINES[i % len(LINES)])
        ax.plot(np.arange(1, most + 1), found[:most], color=color, linestyle=style, label=name)
    ax.axhline(float(labels.mean()), color=QUIET, label="at random")
    ax.set(xlabel="samples reviewed", ylabel="share with a wrong label", ylim=(0.0, 1.02))
    ax.yaxis.set_major_formatter(percent())
    ax.legend(frameon=False)
    return ax
