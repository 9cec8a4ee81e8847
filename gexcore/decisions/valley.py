"""The valley between two modes of a distribution."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

GRID = 512


class Valley(NamedTuple):
    """The deepest gap to the right of the main mode of a distribution.

    Parameters
    ----------
    position : float
    ratio : float
        Height of the bump beyond the valley, divided by the height of the valley.
    z : float
        Height of the bump above the valley, in standard errors of the density estimate.
    """

    position: float
    ratio: float
    z: float


def valley(x: NDArray[np.float64]) -> Valley | None:
    """The most marked valley right of the main mode of a kernel density estimate, or None."""
    low, high = float(x.min()), float(x.max())
    if not high > low:
        return None
    spread = min(float(x.std()), float(np.subtract(*np.percentile(x, [75, 25]))) / 1.34) or float(
        x.std()
    )
    step = (high - low) / GRID
    width = max(0.9 * spread * len(x) ** -0.2, 2.0 * step)
    counts, edges = np.histogram(x, bins=GRID, range=(low, high))
    reach = int(np.ceil(4 * width / step))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / width) ** 2)
    # "full" and then cut, because "same" follows the longer argument
    density = np.convolve(counts, kernel / (kernel.sum() * step * len(x)))[reach : reach + GRID]
    main = int(density.argmax())
    beyond = np.maximum.accumulate(density[::-1])[::-1]  # highest point from here to the right
    before = np.minimum.accumulate(density[main:])  # lowest point since the main mode
    # standard error of a difference of two density estimates
    error = np.sqrt((beyond[main:] + density[main:]) / (2 * np.sqrt(np.pi) * len(x) * width))
    z = (beyond[main:] - density[main:]) / np.maximum(error, 1e-300)
    lowest = (density[main:] <= before) & (beyond[main:] > density[main:])
    if not lowest.any():
        return None
    at = int(np.where(lowest, z, -np.inf).argmax())
    ratio = float(beyond[main + at] / max(density[main + at], 1e-300))
    return Valley(float(edges[main + at] + step / 2), ratio, float(z[at]))
