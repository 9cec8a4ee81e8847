"""Pictures of the measurements of `gexcore.theory` (extra ``report``).

Each function draws on the given axes, or on a new pyplot figure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gexcore.plots.palette import ACCENT, BINS, INK, QUIET, new_axes
from gexcore.theory.chi_squared import GeneralizedChiSquared
from gexcore.theory.curvature import Curvature
from gexcore.theory.normality import finite_row, normality
from gexcore.theory.unimodality import unimodality

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_normality(components: Any, *, ax: Axes | None = None) -> Axes:
    """Projected gradients against normal quantiles (Fig. 1a): a normal row is a straight line.

    Parameters
    ----------
    components : array, shape (directions, samples)
        Rows of `projected_gradients`, or any rows of numbers.
    ax : Axes, optional

    Returns
    -------
    Axes
        Axes in standard deviations. The legend has each row's distance and excess kurtosis.

    Raises
    ------
    InvalidDataError
        If `normality` refuses a row.

    Examples
    --------
    >>> import matplotlib.figure
    >>> import numpy as np
    >>> from gexcore.theory.plots import plot_normality
    >>> rows = np.random.default_rng(0).normal(size=(2, 500))
    >>> ax = plot_normality(rows, ax=matplotlib.figure.Figure().subplots())
    >>> len(ax.lines)
    3
    """
    rows = [finite_row(row) for row in np.atleast_2d(components)]
    found = [normality(row) for row in rows]
    ax = new_axes(ax, (5.0, 5.0))
    for row, one in zip(rows, found, strict=True):
        label = f"distance {one.distance:.2f}, kurtosis {one.excess_kurtosis:.1f}"
        ax.plot(
            _normal_quantiles(len(row)),
            np.sort(row - one.mean) / one.deviation,
            linewidth=1.2,
            label=label,
        )
    reach = [-3.5, 3.5]
    ax.plot(reach, reach, color=INK, linestyle="--", linewidth=1, label="normal")
    ax.set(xlabel="normal quantile", ylabel="quantile of g·d, standardised")
    ax.legend(frameon=False, fontsize=8)
    return ax


def plot_unimodality(
    scores: Any, *, draws: int = 500, seed: int = 0, ax: Axes | None = None
) -> Axes:
    """Histogram of scores, with the dip and its p-value in the title.

    Parameters
    ----------
    scores : array, shape (samples,)
    draws, seed
        The arguments of `unimodality`.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    InvalidDataError
        If scores are no row of finite numbers.

    Examples
    --------
    >>> import matplotlib.figure
    >>> import numpy as np
    >>> from gexcore.theory.plots import plot_unimodality
    >>> scores = np.random.default_rng(0).chisquare(1, 200)
    >>> ax = plot_unimodality(scores, draws=50, ax=matplotlib.figure.Figure().subplots())
    >>> ax.get_title()[:5]
    'dip 0'
    """
    values = finite_row(scores)
    found = unimodality(values, draws=draws, seed=seed)
    ax = new_axes(ax, (7.0, 4.0))
    ax.hist(values, BINS, color=QUIET)
    ax.set(
        xlabel="score",
        ylabel="samples",
        title=f"dip {found.dip:.3f}, p = {found.p_value:.2g} of a single mode",
    )
    return ax


def plot_chi_squared(
    distribution: GeneralizedChiSquared, values: Any = None, *, ax: Axes | None = None
) -> Axes:
    """Density of a generalised χ² distribution, over a histogram of values.

    Parameters
    ----------
    distribution : GeneralizedChiSquared
    values : array, shape (samples,), optional
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    InvalidDataError
        If values are no row of finite numbers.

    Examples
    --------
    >>> import matplotlib.figure
    >>> from gexcore.theory import GeneralizedChiSquared
    >>> from gexcore.theory.plots import plot_chi_squared
    >>> chi = GeneralizedChiSquared([1.0, 2.0, 3.0])
    >>> ax = plot_chi_squared(chi, chi.sample(300), ax=matplotlib.figure.Figure().subplots())
    >>> len(ax.lines)
    1
    """
    ax = new_axes(ax, (7.0, 4.0))
    end = distribution.mean + 5 * distribution.variance**0.5
    if values is not None:
        ax.hist(
            finite_row(values), BINS, range=(0.0, end), density=True, color=QUIET, label="measured"
        )
    x = np.linspace(0.0, end, 201)[1:]
    ax.plot(x, distribution.pdf(x), color=ACCENT, label="generalised χ²")
    ax.set(xlabel="gᵀMg", ylabel="density")
    ax.legend(frameon=False)
    return ax


def plot_curvature(found: Curvature, *, ax: Axes | None = None) -> Axes:
    """Sizes of the eigenvalues of H and F in falling order, with their ranks (Props 4.2 and B.4).

    Parameters
    ----------
    found : Curvature
    ax : Axes, optional

    Returns
    -------
    Axes
        Logarithmic axes. Eigenvalues of exactly zero are left out.

    Examples
    --------
    >>> import matplotlib.figure
    >>> import numpy as np
    >>> from gexcore.theory import curvature
    >>> from gexcore.theory.plots import plot_curvature
    >>> from gexcore_numpy import MLP
    >>> x = np.random.default_rng(0).normal(size=(6, 3))
    >>> found = curvature(MLP.init((3, 8, 2), seed=0), (x, (x[:, 0] > 0).astype(int)))
    >>> ax = plot_curvature(found, ax=matplotlib.figure.Figure().subplots())
    >>> ax.get_legend().get_texts()[1].get_text()
    'empirical Fisher, rank 6 of 50'
    """
    ax = new_axes(ax, (6.0, 4.0))
    for name, values, rank, color in (
        ("Hessian", found.hessian, found.hessian_rank, ACCENT),
        ("empirical Fisher", found.fisher, found.fisher_rank, QUIET),
    ):
        sizes = np.sort(np.abs(values))[::-1]
        ax.plot(
            np.arange(1, len(sizes) + 1),
            np.where(sizes > 0, sizes, np.nan),
            color=color,
            label=f"{name}, rank {rank} of {len(sizes)}",
        )
        ax.axvline(rank, color=color, linestyle="--", linewidth=1)
    ax.set(xlabel="eigenvalue", ylabel="size", yscale="log")
    ax.legend(frameon=False)
    return ax


def _normal_quantiles(n: int) -> Any:
    from statistics import NormalDist

    return [NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)]
