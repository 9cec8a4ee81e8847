"""Agreement of members by their number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.metrics import correlation
from gexcore.errors import InvalidSettingError
from gexcore.plots.palette import ACCENT, QUIET, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gexcore.influence.loss_influence import LossInfluence


def plot_convergence(
    influence: LossInfluence, *, draws: int = 8, seed: int = 0, ax: Axes | None = None
) -> Axes:
    """Correlations of mean clipped losses by the number of members: would more change the scores?

    The curve *between halves* is Pearson's correlation of the means over m members of one half of
    the chains with those over m members of the other half. It is a mean over random draws. A single
    chain is cut into its first and second part. Their members are related, so that curve is too
    good. The curve *with all members* is the correlation of the means over m random members with
    the means over all. It always ends at 1. If the first curve still rises at its end, take more
    chains or snapshots.

    Parameters
    ----------
    influence : LossInfluence
        Result with at least two members.
    draws : int
        Number of random halves.
    seed : int
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    InvalidSettingError
        If there are fewer than two members.

    Examples
    --------
    >>> import matplotlib.figure
    >>> import numpy as np
    >>> import gexcore as gx
    >>> from gexcore.plots import plot_convergence
    >>> from gexcore_numpy import MLP
    >>> x = np.random.default_rng(0).normal(size=(60, 2))
    >>> model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
    >>> data = x, (x[:, 0] > 0).astype(int)
    >>> found = gx.GEX(chains=2, snapshots=4, lr=0.1).fit(model, data, progress=False)
    >>> ax = plot_convergence(found, ax=matplotlib.figure.Figure().subplots())
    >>> [[int(size) for size in line.get_xdata()] for line in ax.lines[:2]]
    [[1, 2, 3, 4], [1, 2, 3, 4, 6, 8]]
    """
    losses, chains = np.minimum(influence.losses, influence.clip), influence.table.chains
    between, with_all = _agreements(losses, chains, draws, seed), _approach(losses, draws, seed)
    if not between:
        told = f"the run has {len(influence.table)} members, and two are needed"
        raise InvalidSettingError(f"{told} to compare; give more snapshots or steps")
    ax = new_axes(ax, (6.0, 4.0))
    for name, color, found in (
        ("between halves", ACCENT, between),
        ("with all members", QUIET, with_all),
    ):
        sizes = sorted(found)
        means = [float(np.mean(found[size])) for size in sizes]
        ax.plot(sizes, means, marker="o", markersize=4, color=color, label=name)
    ax.set(xlabel="members", ylabel="correlation of mean losses", ylim=(None, 1.0))
    ax.legend(frameon=False)
    return ax


def _agreements(
    losses: NDArray[Any], chains: NDArray[np.intp], draws: int, seed: int
) -> dict[int, list[float]]:
    rng = np.random.default_rng(seed)
    found: dict[int, list[float]] = {}
    for _ in range(draws):
        one, other = (rng.permutation(half) for half in _halves(chains, rng))
        most = min(len(one), len(other))
        for size in {round(m) for m in np.geomspace(1, most, 8)} if most else ():
            found.setdefault(size, []).append(_agreement(losses[one[:size]], losses[other[:size]]))
    return found


def _approach(losses: NDArray[Any], draws: int, seed: int) -> dict[int, list[float]]:
    rng = np.random.default_rng(seed)
    sizes = {round(m) for m in np.geomspace(1, len(losses), 8)} if len(losses) else set()
    orders = [rng.permutation(len(losses)) for _ in range(draws)]
    return {size: [_agreement(losses[order[:size]], losses) for order in orders] for size in sizes}


def _agreement(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Correlation of the means over rows, on columns that both have seen."""
    seen = ~np.isnan(one).all(axis=0) & ~np.isnan(other).all(axis=0)
    return correlation(np.nanmean(one[:, seen], axis=0), np.nanmean(other[:, seen], axis=0))


def _halves(
    chains: NDArray[np.intp], rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    names = np.unique(chains)
    first = rng.permutation(names)[: len(names) // 2]
    in_first = (
        np.isin(chains, first) if len(names) > 1 else np.arange(len(chains)) < len(chains) // 2
    )
    return np.flatnonzero(in_first), np.flatnonzero(~in_first)
