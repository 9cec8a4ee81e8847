"""The order of a chain's training batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gexcore.backend.protocols import Indices


def training_order(
    n: int, batch_size: int, *, seed: int, chain: int
) -> Iterator[tuple[Indices, int]]:
    """Endless batches of one chain: positions, and the seed of each step.

    Each epoch is a permutation cut into full batches. The rest of an epoch is left out, so that all
    batches have one shape and no sample twice.
    """
    order, noise = (
        np.random.default_rng(s) for s in np.random.SeedSequence([seed, chain]).spawn(2)
    )
    while True:
        epoch = order.permutation(n)
        starts = range(0, n - batch_size + 1, batch_size)
        seeds = noise.integers(2**32, size=len(starts)).tolist()
        for start, drawn in zip(starts, seeds, strict=True):
            yield epoch[start : start + batch_size], drawn


def subset_order(
    n: int, batch_size: int, *, size: int, steps: int, seed: int, chain: int
) -> Iterator[tuple[Indices, int]]:
    """Endless batches of one chain whose members each see a random part of the samples.

    Every `steps` batches come from a new random part of `size` samples.
    """
    order, noise = (
        np.random.default_rng(s) for s in np.random.SeedSequence([seed, chain, 1]).spawn(2)
    )
    while True:
        part = order.permutation(n)[:size]
        taken = 0
        while taken < steps:
            epoch = order.permutation(part)
            for start in range(0, size - batch_size + 1, batch_size):
                if taken < steps:
                    yield epoch[start : start + batch_size], int(noise.integers(2**32))
                    taken += 1
