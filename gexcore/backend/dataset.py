"""Datasets: samples in a fixed order, as gexcore asks for them."""

from __future__ import annotations

from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]
"""Sample positions on the host, shape (b,), unique within a batch."""

BatchOut = TypeVar("BatchOut", covariant=True)


@runtime_checkable
class Dataset(Protocol[BatchOut]):
    """Samples in a fixed order, addressed by position."""

    def __len__(self) -> int: ...

    def batch(self, indices: Indices, /) -> BatchOut:
        """The samples at these positions, in this order. Equal on every call."""
        ...


@runtime_checkable
class SupportsAugmentation(Protocol[BatchOut]):
    """A dataset with a random view of its samples for training steps."""

    def augmented(self, indices: Indices, /, *, seed: int) -> BatchOut:
        """The samples through the training's random augmentation. Equal for equal seeds."""
        ...
