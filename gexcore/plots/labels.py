"""Labels: what is confused with what, and how noisy each class is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gexcore.decisions.clean import positions
from gexcore.decisions.slices import slices
from gexcore.errors import InvalidDataError
from gexcore.plots.names import class_name, classes_of
from gexcore.plots.palette import ACCENT, INK, MOST_TICKS, PAPER, new_axes, percent, scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_confusion(
    given: Any,
    suggested: Any,
    flagged: Any,
    *,
    names: Sequence[str] | None = None,
    most: int = MOST_TICKS,
    ax: Axes | None = None,
) -> Axes:
    """Number of flagged samples with each pair of given and suggested class.

    Parameters
    ----------
    given, suggested : integer arrays, shape (samples,)
        Classes of all samples.
    flagged : integer array
        Positions of suspects, such as ``influence.suspects().indices``.
    names : sequence of str, optional
        Name of each class. The default is its number.
    most : int
        The most classes to draw. The classes of most flagged samples come first.
    ax : Axes, optional

    Returns
    -------
    Axes
        One row for each given class, one column for each suggested class.

    Raises
    ------
    InvalidDataError
        If classes are no whole numbers, or none is flagged.

    Examples
    --------
    >>> import matplotlib.figure
    >>> from gexcore.plots import plot_confusion
    >>> ax = matplotlib.figure.Figure().subplots()
    >>> ax = plot_confusion([0, 1, 1, 0], [1, 0, 1, 0], [0, 1], names=["cat", "dog"], ax=ax)
    >>> [text.get_text() for text in ax.texts]
    ['1', '1']
    """
    old, new = classes_of(given), classes_of(suggested)
    if old.shape != new.shape:
        raise InvalidDataError(
            f"there are {len(old)} given and {len(new)} suggested classes; give one per sample"
        )
    chosen = positions(flagged, len(old))
    if not len(chosen):
        raise InvalidDataError("no sample is flagged; give the first positions of ranking()")
    old, new = old[chosen], new[chosen]
    classes, counts = np.unique(np.concatenate([old, new]), return_counts=True)
    classes = np.sort(classes[np.argsort(-counts, kind="stable")[:most]])
    table = np.array([[int(((old == a) & (new == b)).sum()) for b in classes] for a in classes])
    ax = new_axes(ax, (1.5 + 0.45 * len(classes), 1.2 + 0.45 * len(classes)))
    ax.imshow(table, cmap=scale(ACCENT), vmin=0)
    for row, column in np.argwhere(table):
        count = table[row, column]
        color = PAPER if count > table.max() / 2 else INK
        ax.text(column, row, str(count), ha="center", va="center", color=color, fontsize=8)
    told = [class_name(number, names) for number in classes.tolist()]
    ax.set_xticks(range(len(told)), told, rotation=45, ha="right")
    ax.set_yticks(range(len(told)), told)
    ax.set(xlabel="suggested label", ylabel="given label")
    return ax


def plot_class_noise(
    labels: Any,
    flagged: Any,
    *,
    names: Sequence[str] | None = None,
    most: int = MOST_TICKS,
    ax: Axes | None = None,
) -> Axes:
    """Flagged share of each given class, with its 95 % interval (Wilson).

    Parameters
    ----------
    labels : integer array, shape (samples,)
        Given classes.
    flagged : integer array
        Positions of suspects, such as ``influence.suspects().indices``.
    names : sequence of str, optional
        Name of each class. The default is its number.
    most : int
        The most classes to draw. The largest shares come first.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    InvalidDataError
        If labels are no whole numbers, or positions are invalid.

    Examples
    --------
    >>> import matplotlib.figure
    >>> from gexcore.plots import plot_class_noise
    >>> ax = matplotlib.figure.Figure().subplots()
    >>> ax = plot_class_noise([0, 0, 1, 1], [2], names=["cat", "dog"], ax=ax)
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['dog (1 of 2)', 'cat (0 of 2)']
    """
    classes = classes_of(labels)
    parts = slices(np.zeros(len(classes)), classes, flagged)[:most]
    ax = new_axes(ax, (6.0, 0.8 + 0.35 * len(parts)))
    shares = np.array([part.share for part in parts])
    reach = [shares - [p.low for p in parts], [p.high for p in parts] - shares]
    rows = np.arange(len(parts))
    ax.barh(rows, shares, xerr=np.maximum(reach, 0.0), color=ACCENT, ecolor=INK, capsize=2)
    told = [f"{class_name(p.group, names)} ({p.flagged} of {p.samples})" for p in parts]
    ax.set_yticks(rows, told)
    ax.invert_yaxis()
    ax.set(xlabel="flagged share", ylabel="given label")
    ax.xaxis.set_major_formatter(percent())
    return ax
