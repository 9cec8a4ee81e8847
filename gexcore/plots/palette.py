"""Colours and axes that all pictures share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gexcore.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUIET, ACCENT, INK, PAPER = "#93a4b4", "#b5431d", "#1d1c1a", "#ffffff"
BINS = 60
MOST_TICKS = 12
"""The most named ticks on an axis: more cannot be read."""


def new_axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """The given axes, or those of a new figure, without the upper and the right line."""
    if ax is None:
        ax = pyplot().subplots(figsize=size, layout="constrained")[1]
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def pyplot() -> Any:
    """The module ``matplotlib.pyplot``.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise MissingExtraError(
            "a picture needs matplotlib; try: pip install 'gexcore[report]'"
        ) from error
    return matplotlib.pyplot


def percent() -> Any:
    """Format of ticks that turns shares into per cent."""
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(1.0)


def scale(color: str) -> Any:
    """Colour map from paper to a colour."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(color, [PAPER, color])
