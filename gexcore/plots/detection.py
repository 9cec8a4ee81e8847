"""ROC and precision–recall curves of scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.metrics import auc, average_precision
from gexcore.plots.palette import ACCENT, INK, QUIET, new_axes, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = ("-", "--", ":", "-.")


def plot_roc(scores: Any, wrong: Any, *, ax: Axes | None = None) -> Axes:
    """Share of wrong labels found, against the share of right labels flagged.

    Parameters
    ----------
    scores : array of shape (samples,), or dict of such arrays
        Scores, high = probably wrong. A dict gives one curve for each name. The legend shows each
        AUC.
    wrong : boolean array, shape (samples,)
        Mask of labels known to be wrong.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    InvalidDataError
        If scores are NaN, lengths differ, or all labels are of one kind.

    Examples
    --------
    >>> import matplotlib.figure
    >>> from gexcore.plots import plot_roc
    >>> ax = matplotlib.figure.Figure().subplots()
    >>> ax = plot_roc([0.9, 0.1, 0.8, 0.2], [True, False, False, True], ax=ax)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['by score (AUC 0.75)', 'at random']
    """
    ax = new_axes(ax, (5.0, 4.0))
    for name, row, labels, style in _rankings(scores, wrong):
        area = auc(row, labels)
        found, flagged = _counts(row, labels)
        right = (flagged - found) / (len(labels) - labels.sum())
        ax.plot(right, found / labels.sum(), label=f"{name} (AUC {area:.2f})", **style)
    ax.plot([0, 1], [0, 1], color=QUIET, label="at random")
    ax.set(xlabel="right labels flagged", ylabel="wrong labels found")
    return _finished(ax)


def plot_precision_recall(scores: Any, wrong: Any, *, ax: Axes | None = None) -> Axes:
    """Share of wrong labels among those flagged, against the share of wrong labels found.

    Parameters, returns and errors are the same as for `plot_roc`. The legend shows each average
    precision.

    Examples
    --------
    >>> import matplotlib.figure
    >>> from gexcore.plots import plot_precision_recall
    >>> ax = matplotlib.figure.Figure().subplots()
    >>> ax = plot_precision_recall([0.9, 0.1, 0.8, 0.2], [True, False, False, True], ax=ax)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['by score (AP 0.83)', 'at random']
    """
    ax = new_axes(ax, (5.0, 4.0))
    share = 0.0
    for name, row, labels, style in _rankings(scores, wrong):
        area = average_precision(row, labels)
        found, flagged = _counts(row, labels)
        precision = found[1:] / flagged[1:]
        ax.step(
            np.concatenate([[0.0], found[1:] / labels.sum()]),
            np.concatenate([precision[:1], precision]),
            label=f"{name} (AP {area:.2f})",
            **style,
        )
        share = float(labels.mean())
    ax.axhline(share, color=QUIET, label="at random")
    ax.set(xlabel="wrong labels found", ylabel="share with a wrong label", ylim=(0.0, 1.02))
    return _finished(ax)


def _rankings(
    scores: Any, wrong: Any
) -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.bool_], dict[str, Any]]]:
    """Name, scores, labels and line style of each curve."""
    labels = np.asarray(wrong, dtype=bool)
    named = scores if isinstance(scores, Mapping) else {"by score": scores}
    for i, (name, values) in enumerate(named.items()):
        color, line = (ACCENT, "-") if i == 0 else (INK, LINES[i % len(LINES)])
        row = np.asarray(values, dtype=np.float64)
        yield name, row, labels, {"color": color, "linestyle": line}


def _counts(
    scores: NDArray[np.float64], labels: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wrong labels found and labels flagged at each distinct threshold, from none to all."""
    _, codes = np.unique(-scores, return_inverse=True)
    found = np.cumsum(np.bincount(codes, weights=labels))
    flagged = np.cumsum(np.bincount(codes)).astype(np.float64)
    return np.concatenate([[0.0], found]), np.concatenate([[0.0], flagged])


def _finished(ax: Axes) -> Axes:
    ax.xaxis.set_major_formatter(percent())
    ax.yaxis.set_major_formatter(percent())
    ax.legend(frameon=False)
    return ax
