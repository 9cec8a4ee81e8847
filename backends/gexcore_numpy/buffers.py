"""Running statistics of normalised layers, which must follow the parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gexcore_numpy.network import MOMENTUM, Moments


def moved(running: Sequence[Moments], seen: Sequence[Moments]) -> tuple[Moments, ...]:
    """The running statistics after a step on a batch with these statistics."""
    return tuple(
        Moments(
            *((1 - MOMENTUM) * old + MOMENTUM * new for old, new in zip(kept, found, strict=True))
        )
        for kept, found in zip(running, seen, strict=True)
    )


def mean(seen: Sequence[Sequence[Moments]]) -> tuple[Moments, ...]:
    """The average over batches, with equal weights."""
    return tuple(
        Moments(*(np.mean(values, axis=0) for values in zip(*layer, strict=True)))
        for layer in zip(*seen, strict=True)
    )
