"""Average precision by the number of members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gexcore.decisions.metrics import average_precision
from gexcore.errors import InvalidDataError
from gexcore.plots.palette import ACCENT, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gexcore.influence.loss_influence import LossInfluence


def plot_by_members(influence: LossInfluence, wrong: Any, *, ax: Axes | None = None) -> Axes:
    """Average precision of the self-influence of the first members, by their number.

    Parameters
    ----------
    influence : LossInfluence
        Result with at least one member, each of which saw every sample.
    wrong : boolean array, shape (samples,)
        Mask of labels known to be wrong.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    InvalidDataError
        If there is no member, a member did not see a sample, lengths differ, or all labels are of
        one kind.

    Examples
    --------
    >>> import matplotlib.figure
    >>> import numpy as np
    >>> import gexcore as gx
    >>> from gexcore.plots import plot_by_members
    >>> from gexcore_numpy import MLP
    >>> x = np.random.default_rng(0).normal(size=(60, 2))
    >>> wrong = np.arange(60) < 6
    >>> y = ((x[:, 0] > 0) ^ wrong).astype(int)
    >>> model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
    >>> method = gx.GEX(chains=2, snapshots=2, lr=0.1, scoring="evaluated")
    >>> found = method.fit(model, (x, y), progress=False)
    >>> ax = plot_by_members(found, wrong, ax=matplotlib.figure.Figure().subplots())
    >>> [int(size) for size in ax.lines[0].get_xdata()]
    [1, 2, 3, 4]
    """
    table = influence.table.bounded(influence.floor, influence.ceiling)
    if not len(table) or np.isnan(table.losses).any():
        raise InvalidDataError(
            "the run has no member, or members that did not see every sample; fit with "
            "scoring='evaluated'"
        )
    sizes = sorted({round(m) for m in np.geomspace(1, len(table), 12)})
    found = [
        100 * average_precision(table.select(np.arange(size)).self_influence(), wrong)
        for size in sizes
    ]
    ax = new_axes(ax, (6.0, 4.0))
    ax.plot(sizes, found, marker="o", markersize=4, color=ACCENT)
    ax.set(xlabel="members", ylabel="average precision, %")
    return ax
