"""Mixtures of two normal distributions, fitted to scores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.otsu import otsu

BINS = 256
ROUNDS = 300
SETTLED = 1e-6


class Mixture(NamedTuple):
    """Two normal distributions. The first has the smaller mean.

    Parameters
    ----------
    share : float
        Share of the upper distribution.
    means, deviations : pairs of float
    """

    share: float
    means: tuple[float, float]
    deviations: tuple[float, float]

    @property
    def ashman_d(self) -> float:
        """Distance of the means in units of the mean deviation."""
        return float(2**0.5 * (self.means[1] - self.means[0]) / np.hypot(*self.deviations))

    def cut(self) -> float | None:
        """The point between the means where the upper distribution becomes likelier, or None."""
        x = np.linspace(*self.means, BINS)
        lower, upper = _densities(x, self)
        likelier = upper > lower
        apart = self.means[0] < self.means[1] and likelier[-1] and not likelier[0]
        return float(x[likelier.argmax()]) if apart else None


def fit_mixture(x: NDArray[np.float64]) -> Mixture | None:
    """The likeliest mixture near Otsu's cut; None if all scores are equal.

    The fit is expectation maximisation on a histogram. A million scores take as long as a thousand.
    """
    start = otsu(x)
    if start is None:
        return None
    counts, edges = np.histogram(x, bins=BINS)
    centres = (edges[1:] + edges[:-1]) / 2
    narrowest = float(edges[1] - edges[0])
    upper = (centres > start.value).astype(np.float64)
    share, found = -1.0, None
    for _ in range(ROUNDS):
        found = _fit(centres, counts, upper, narrowest)
        if found is None or abs(found.share - share) < SETTLED:
            break
        share = found.share
        lower_density, upper_density = _densities(centres, found)
        upper = upper_density / np.maximum(lower_density + upper_density, 1e-300)
    return found


def _fit(
    x: NDArray[np.float64], counts: NDArray[np.intp], upper: NDArray[np.float64], narrowest: float
) -> Mixture | None:
    parts = (counts * (1 - upper), counts * upper)
    weights = [float(part.sum()) for part in parts]
    if min(weights) < 1:  # a part with less than one sample
        return None
    means = [float((part * x).sum() / w) for part, w in zip(parts, weights, strict=True)]
    squares = [
        float((part * (x - m) ** 2).sum() / w)
        for part, m, w in zip(parts, means, weights, strict=True)
    ]
    low, high = (float(max(square**0.5, narrowest)) for square in squares)
    return Mixture(weights[1] / sum(weights), (means[0], means[1]), (low, high))


def _densities(x: NDArray[np.float64], mixture: Mixture) -> list[NDArray[np.float64]]:
    shares = (1 - mixture.share, mixture.share)
    return [
        share / d * np.exp(-0.5 * ((x - m) / d) ** 2)
        for share, m, d in zip(shares, mixture.means, mixture.deviations, strict=True)
    ]
