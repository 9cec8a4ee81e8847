"""Training samples that are most related to test samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gexcore.errors import InvalidSettingError
from gexcore.plots.gallery import draw, shown
from gexcore.plots.palette import pyplot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gexcore.deviations.ranking import Top
    from gexcore.report.samples import Renderer


def plot_top(
    top: Top, data: Any, test: Any, *, at: int = 0, renderer: Renderer | None = None
) -> Figure:
    """A test sample, its proponents in the upper row, and its opponents in the lower row.

    Parameters
    ----------
    top : Top
        Result of `gexcore.Influence.top`.
    data : Dataset, (x, y), mapping, or list of samples
        Training samples.
    test : Dataset, (x, y), mapping, or list of samples
        Test samples of `top`.
    at : int
        Position of the test sample.
    renderer : callable, optional
        Function from a sample to a picture (array or PIL), a text or a dict of values.

    Returns
    -------
    Figure
        The title of a training sample has its position and its influence.

    Raises
    ------
    InvalidSettingError
        If `top` has no such test sample.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> import gexcore as gx
    >>> from gexcore.plots import plot_top
    >>> top = gx.Top(*(np.array([[1, 0]]), np.array([[0.5, 0.2]])) * 2)
    >>> figure = plot_top(top, np.zeros((2, 8, 8)), np.ones((1, 8, 8)))
    >>> [ax.get_title() for ax in figure.axes]
    ['test 0', '#1 +0.5', '#0 +0.2', '#1 +0.5', '#0 +0.2']
    """
    tests, k = top.proponents.shape
    if not 0 <= at < tests:
        raise InvalidSettingError(f"at is {at}, and there are {tests} tests; give 0 … {tests - 1}")
    figure: Figure = pyplot().figure(figsize=(1.3 * (k + 1), 3.4), layout="constrained")
    value = next(shown(test, np.array([at]), renderer))
    draw(figure.add_subplot(2, k + 1, 1), value, f"test {at}")
    rows = (top.proponents, top.proponent_values), (top.opponents, top.opponent_values)
    for row, (found, values) in enumerate(rows):
        for i, value in enumerate(shown(data, found[at], renderer)):
            title = f"#{found[at, i]} {values[at, i]:+.2g}"
            draw(figure.add_subplot(2, k + 1, row * (k + 1) + i + 2), value, title)
    return figure
