"""Histograms of scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gexcore.errors import InvalidDataError
from gexcore.plots.palette import ACCENT, BINS, INK, QUIET, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_histogram(
    scores: Any, *, threshold: float | None = None, wrong: Any = None, ax: Axes | None = None
) -> Axes:
    """Histogram of scores, split at a threshold or by known wrong labels.

    Parameters
    ----------
    scores : array, shape (samples,)
        Finite scores. A threshold of `Influence.suspects` cuts ``suspicion(clip=threshold.clip)``.
    threshold : float, optional
        Position of the line.
    wrong : boolean array, shape (samples,), optional
        Mask of labels known to be wrong. They are stacked on the others.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    InvalidDataError
        If scores are not finite, or `wrong` has another length.

    Examples
    --------
    >>> import matplotlib.figure
    >>> import numpy as np
    >>> from gexcore.plots import plot_histogram
    >>> ax = matplotlib.figure.Figure().subplots()
    >>> ax = plot_histogram(np.array([0.1, 0.2, 0.2, 2.5]), threshold=1.0, ax=ax)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['kept', 'flagged (1)', 'threshold']
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1 or not len(scores) or not np.isfinite(scores).all():
        raise InvalidDataError(
            "a histogram needs a row of finite scores; leave out what was not scored"
        )
    parts, names = [scores], ["all samples"]
    if wrong is not None:
        wrong = np.asarray(wrong, dtype=bool)
        if wrong.shape != scores.shape:
            raise InvalidDataError(
                f"wrong has shape {wrong.shape} for {len(scores)} scores; give one per score"
            )
        parts, names = [scores[~wrong], scores[wrong]], ["right label", "wrong label"]
    elif threshold is not None:
        above = scores > threshold
        parts, names = [scores[~above], scores[above]], ["kept", f"flagged ({int(above.sum()):,})"]
    ax = new_axes(ax, (7.0, 4.0))
    edges = np.linspace(
        min(0.0, float(scores.min())), float(scores.max()) or 1.0, BINS + 1
    ).tolist()
    ax.hist(parts, edges, stacked=True, label=names, color=[QUIET, ACCENT][: len(parts)])
    if threshold is not None:
        ax.axvline(threshold, color=INK, linestyle="--", linewidth=1.2, label="threshold")
    ax.set(xlabel="suspicion", ylabel="samples")
    if len(names) > 1 or threshold is not None:
        ax.legend(frameon=False)
    return ax
