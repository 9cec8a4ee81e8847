"""Samples in blocks: how many are worked on at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

BLOCK = 8192
"""The most samples in a block of influences, by default."""
HELD = 2**23
"""The most numbers in a block of influences, by default."""
CACHED = 2**16
"""Numbers that are worked on at a time: they fit into the cache of a processor."""

Blocks = Iterator[tuple[slice, NDArray[np.float64]]]
"""Influences in blocks of samples: pairs of a slice and an array of shape (tests, slice)."""


def parts(samples: int, size: int) -> Iterator[slice]:
    """All samples, `size` at a time."""
    for start in range(0, samples, size):
        yield slice(start, min(start + size, samples))


def block_size(tests: int) -> int:
    """Samples in a block of influences on this many test samples, by default."""
    return max(1, min(BLOCK, HELD // max(1, tests)))


def cached_parts(members: int, samples: int) -> Iterator[slice]:
    """All samples, in parts that fit into the cache with one number per member."""
    return parts(samples, max(1, CACHED // max(1, members)))


def by_parts(
    members: int, samples: int, score: Callable[[slice], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """A score of each sample, shape (samples,), computed in parts that fit into the cache."""
    found = np.empty(samples)
    for part in cached_parts(members, samples):
        found[part] = score(part)
    return found
