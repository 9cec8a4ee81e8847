"""Thresholds and measures against the libraries that others use for them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from skimage.filters import threshold_otsu
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.mixture import GaussianMixture

from gexcore.decisions.metrics import auc, average_precision
from gexcore.decisions.mixture import fit_mixture
from gexcore.decisions.otsu import otsu
from gexcore.decisions.slices import slices


def two_modes(seed: int, n: int = 2000, gap: float = 3.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(1, 0.4, n - n // 5), rng.normal(1 + gap, 0.5, n // 5)])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("gap", [1.0, 3.0])
def test_otsu_splits_as_scikit_image_does(seed: int, gap: float) -> None:
    x = two_modes(seed, gap=gap)
    found = otsu(x)
    assert found is not None
    edge = (x.max() - x.min()) / 2**14  # scikit-image cuts at the middle of a bin
    other = threshold_otsu(x, nbins=2**14)
    between = np.sum((x > min(found.value, other) - edge) & (x <= max(found.value, other) + edge))
    assert between <= 2


@pytest.mark.parametrize("seed", range(5))
def test_a_mixture_is_that_of_scikit_learn(seed: int) -> None:
    x = two_modes(seed)
    found = fit_mixture(x)
    assert found is not None
    model = GaussianMixture(2, random_state=0, n_init=3).fit(x[:, None])
    order = np.argsort(model.means_[:, 0])
    np.testing.assert_allclose(found.means, model.means_[order, 0], atol=0.03)
    np.testing.assert_allclose(
        found.deviations, np.sqrt(model.covariances_[order, 0, 0]), atol=0.03
    )
    assert found.share == pytest.approx(model.weights_[order[1]], abs=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_measures_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, wrong = rng.normal(size=300).round(1), rng.random(300) < 0.2
    assert auc(scores, wrong) == pytest.approx(roc_auc_score(wrong, scores))
    strict = scores + 1e-6 * rng.random(300)  # ties are counted otherwise
    expected = average_precision_score(wrong, strict)
    assert average_precision(strict, wrong) == pytest.approx(expected)


def test_the_interval_of_a_share_is_that_of_scipy() -> None:
    (part,) = slices(np.zeros(50), np.zeros(50, int), np.arange(7))
    low, high = stats.binomtest(7, 50).proportion_ci(method="wilson")
    assert (part.low, part.high) == pytest.approx((low, high), abs=1e-4)


def test_another_cut_or_share_is_found() -> None:
    x = two_modes(0)
    found, mixture = otsu(x), fit_mixture(x)
    assert found is not None
    assert mixture is not None
    assert abs(found.value - threshold_otsu(np.append(x, [9.0] * 400))) > 0.5
    assert abs(mixture.share - fit_mixture(two_modes(0)[:1700]).share) > 0.01  # type: ignore[union-attr]
