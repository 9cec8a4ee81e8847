"""Wrong labels: symmetric, to the next class, by the sample's own look, and of people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
HUMAN = ("aggre", "random1", "random2", "random3", "worse")
KINDS = ("none", "symmetric", "pair", "instance", *HUMAN)


def mislabel(
    y: Labels, classes: int, kind: str, rate: float, seed: int, *, x: NDArray[np.generic] | None
) -> Labels:
    """Given labels; exactly this share is wrong.

    "symmetric" draws another class, "pair" takes the next. "instance" follows Xia et al.: each
    sample has a chance of its own, around `rate`, and the class that random projections of its
    inputs choose.
    """
    rng, given = np.random.default_rng([seed, 1]), y.copy()
    count = round(rate * len(y))
    if kind == "none" or not count:
        return given
    if kind == "instance":
        if x is None:
            raise SystemExit("noise that depends on the sample needs its inputs; choose symmetric")
        flat = x.reshape(len(x), -1).astype(np.float64)
        flat = (flat - flat.mean(0)) / (flat.std() + 1e-9)
        scores = np.empty((len(y), classes))
        for k in range(classes):
            to = rng.normal(size=(flat.shape[1], classes))
            scores[y == k] = flat[y == k] @ to
        scores[np.arange(len(y)), y] = -np.inf
        chance = np.clip(rng.normal(rate, 0.1, len(y)), 1e-3, 1.0)
        chosen = rng.choice(len(y), count, replace=False, p=chance / chance.sum())
        given[chosen] = scores[chosen].argmax(1)
        return given
    chosen = rng.choice(len(y), count, replace=False)
    step = 1 if kind == "pair" else rng.integers(1, classes, count)
    given[chosen] = (y[chosen] + step) % classes
    return given
