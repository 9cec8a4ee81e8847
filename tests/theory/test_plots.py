"""Pictures show the numbers that they are of."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from gexcore.theory import GeneralizedChiSquared, curvature, normality
from gexcore.theory.plots import plot_chi_squared, plot_curvature, plot_normality, plot_unimodality
from gexcore_numpy import MLP


@pytest.fixture
def ax():
    return Figure().subplots()


def test_a_normal_row_lies_on_the_line_and_a_heavy_tailed_one_does_not(ax):
    rng = np.random.default_rng(0)
    rows = np.stack([rng.normal(5, 3, 2000), rng.standard_t(2, 2000)])
    plot_normality(rows, ax=ax)
    off = [float(np.abs(line.get_ydata() - line.get_xdata()).max()) for line in ax.lines[:2]]
    assert off[0] < 1 < 3 < off[1]
    assert (
        f"distance {normality(rows[1]).distance:.2f}" in ax.get_legend().get_texts()[1].get_text()
    )


def test_the_histogram_counts_every_score(ax):
    plot_unimodality(np.append(np.zeros(40), np.ones(60)), draws=20, ax=ax)
    assert sum(bar.get_height() for bar in ax.patches) == 100
    assert ax.get_title().startswith("dip 0.200")


def test_density_and_histogram_agree(ax):
    found = GeneralizedChiSquared([1.0, 2.0, 3.0, 4.0])
    plot_chi_squared(found, found.sample(50_000), ax=ax)
    line = ax.lines[0]
    heights = np.array([bar.get_height() for bar in ax.patches])
    middles = np.array([bar.get_x() + bar.get_width() / 2 for bar in ax.patches])
    assert heights == pytest.approx(
        np.interp(middles, line.get_xdata(), line.get_ydata()), abs=0.006
    )


def test_ranks_are_drawn(ax):
    x = np.random.default_rng(0).normal(size=(6, 3))
    found = curvature(MLP.init((3, 8, 2), seed=0), (x, (x[:, 0] > 0).astype(int)))
    plot_curvature(found, ax=ax)
    assert [float(line.get_xdata()[0]) for line in ax.lines[1::2]] == [found.hessian_rank, 6]
