"""Pictures of scores, for notebooks and papers (extra ``report``).

Each function draws on the given axes, or on a new pyplot figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.metrics import correlation
from gexcore.errors import InvalidDataError, InvalidSettingError, MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gexcore.decisions.curve import CurvePoint
    from gexcore.influence.loss_influence import LossInfluence
    from gexcore.report.samples import Renderer

QUIET, ACCENT, INK = "#93a4b4", "#b5431d", "#1d1c1a"
BINS = 60


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


def plot_pruning_curve(*curves: Sequence[CurvePoint], ax: Axes | None = None) -> Axes:
    """Accuracy against the share of kept samples, by score and at random.

    Parameters
    ----------
    *curves : sequence of CurvePoint
        Curves of `gexcore.decisions.curve.pruning_curve` with the same shares, one per seed. The
        line is their mean, and the band is their range.
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
    shares = {tuple(point.keep for point in curve) for curve in curves}
    if len(shares) != 1 or shares == {()}:
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
    ax.set(xlabel="share of the samples kept", ylabel="test accuracy")
    ax.legend(frameon=False)
    return ax


def plot_gallery(
    data: Any,
    indices: Any,
    *,
    titles: Sequence[str] | None = None,
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
    >>> figure = plot_gallery((np.zeros((5, 8, 8)), np.arange(5)), [4, 2], titles=["one", "two"])
    >>> [ax.get_title() for ax in figure.axes]
    ['one', 'two']
    """
    positions = np.asarray(indices, dtype=np.intp)
    titles = [f"#{i}" for i in positions.tolist()] if titles is None else titles
    if positions.ndim != 1 or not len(positions) or len(titles) != len(positions) or columns < 1:
        msg = (
            f"{len(titles)} titles for indices of shape {positions.shape} in {columns} columns; "
            "give one title per index"
        )
        raise InvalidSettingError(msg)
    pyplot = _pyplot()
    from gexcore.report.samples import as_source, picture, samples_at, show

    columns = min(columns, len(positions))
    rows = math.ceil(len(positions) / columns)
    figure: Figure = pyplot.figure(figsize=(1.3 * columns, 1.6 * rows), layout="constrained")
    for i, (_, sample) in enumerate(samples_at(as_source(data), positions)):
        value = sample if renderer is None else renderer(sample)
        ax = figure.add_subplot(rows, columns, i + 1)
        ax.set_title(titles[i], fontsize=8, parse_math=False)
        ax.set_axis_off()
        pixels = picture(value)
        if pixels is not None:
            ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            continue
        shown = show(value)
        text = (
            shown["text"]
            if "text" in shown
            else "\n".join(f"{name} {number}" for name, number in shown["values"])
        )
        ax.text(
            0,
            1,
            text[:160],
            va="top",
            fontsize=6,
            wrap=True,
            parse_math=False,
            transform=ax.transAxes,
        )
    return figure


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


def new_axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    if ax is None:
        ax = _pyplot().subplots(figsize=size, layout="constrained")[1]
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise MissingExtraError(
            "a picture needs matplotlib; try: pip install 'gexcore[report]'"
        ) from error
    return matplotlib.pyplot
