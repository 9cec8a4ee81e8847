"""Samples side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.plots.names import class_name, classes_of
from gexcore.plots.palette import pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gexcore.report.samples import Renderer

LETTERS = 160


def plot_gallery(
    data: Any,
    indices: Any,
    *,
    titles: Sequence[str] | None = None,
    given: Any = None,
    suggested: Any = None,
    names: Sequence[str] | None = None,
    renderer: Renderer | None = None,
    columns: int = 8,
) -> Figure:
    """Samples side by side: pictures as pictures, other values as text.

    Parameters
    ----------
    data : Dataset, (x, y), mapping, or list of samples
    indices : integer array
        Positions of the samples to draw, in this order.
    titles : sequence of str, optional
        One title for each of `indices`. The default is the position.
    given, suggested : integer arrays, shape (samples,), optional
        Given and suggested classes of all samples. Both give the titles "given → suggested".
    names : sequence of str, optional
        Name of each class. The default is its number.
    renderer : callable, optional
        Function from a sample to a picture (array or PIL), a text or a dict of values.
    columns : int

    Returns
    -------
    Figure

    Raises
    ------
    InvalidDataError, InvalidSettingError

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from gexcore.plots import plot_gallery
    >>> data = np.zeros((5, 8, 8)), np.arange(5)
    >>> figure = plot_gallery(data, [4, 2], given=data[1], suggested=[0, 0, 1, 0, 3])
    >>> [ax.get_title() for ax in figure.axes]
    ['4 → 3', '2 → 1']
    """
    positions = np.asarray(indices, dtype=np.intp)
    if titles is None:
        titles = _titles(positions, given, suggested, names)
    if positions.ndim != 1 or not len(positions) or len(titles) != len(positions) or columns < 1:
        msg = (
            f"{len(titles)} titles for indices of shape {positions.shape} in {columns} columns; "
            "give one title per index"
        )
        raise InvalidSettingError(msg)
    columns = min(columns, len(positions))
    rows = math.ceil(len(positions) / columns)
    size = (1.3 * columns, 1.6 * rows)
    figure: Figure = pyplot().figure(figsize=size, layout="constrained")
    for i, value in enumerate(shown(data, positions, renderer)):
        draw(figure.add_subplot(rows, columns, i + 1), value, titles[i])
    return figure


def shown(data: Any, positions: Any, renderer: Renderer | None) -> Iterator[Any]:
    """The samples at these positions, as they are drawn."""
    from gexcore.report.samples import as_source, samples_at

    for _, sample in samples_at(as_source(data), np.asarray(positions, dtype=np.intp)):
        yield sample if renderer is None else renderer(sample)


def draw(ax: Axes, value: Any, title: str) -> None:
    """One sample on its axes: a picture or a text."""
    from gexcore.report.samples import picture, show

    ax.set_title(title, fontsize=8, parse_math=False)
    ax.set_axis_off()
    pixels = picture(value)
    if pixels is not None:
        ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        return
    found = show(value)
    text = (
        found["text"]
        if "text" in found
        else "\n".join(f"{name} {number}" for name, number in found["values"])
    )
    how: dict[str, Any] = {"va": "top", "fontsize": 6, "wrap": True, "parse_math": False}
    ax.text(0, 1, text[:LETTERS], transform=ax.transAxes, **how)


def _titles(
    positions: Any, given: Any, suggested: Any, names: Sequence[str] | None
) -> Sequence[str]:
    if given is None and suggested is None:
        return [f"#{i}" for i in positions.tolist()]
    if given is None or suggested is None:
        raise InvalidDataError("a title needs given and suggested classes; give both, or neither")
    old, new = (classes_of(labels)[positions] for labels in (given, suggested))
    pairs = zip(old.tolist(), new.tolist(), strict=True)
    return [f"{class_name(a, names)} → {class_name(b, names)}" for a, b in pairs]
