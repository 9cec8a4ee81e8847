from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gexcore.backend.data import ArrayDataset, MappingDataset
from gexcore.testing.datasets import check_dataset

X, Y = np.arange(30.0).reshape(10, 3), np.arange(10)


class Augmented(ArrayDataset):
    """A proper random view: the seed decides."""

    def augmented(self, indices: Any, /, *, seed: int) -> tuple[Any, ...]:
        x, y = self.batch(indices)
        return x + np.random.default_rng(seed).normal(size=x.shape), y


class Padded(ArrayDataset):
    """Texts of different lengths, padded to the longest of the batch."""

    def batch(self, indices: Any, /) -> tuple[Any, ...]:
        x, y = super().batch(indices)
        return x[:, : 1 + int(indices.max()) % 3], y


class InOrderOfPosition(ArrayDataset):
    def batch(self, indices: Any, /) -> tuple[Any, ...]:
        return super().batch(np.sort(indices))


class RandomView(ArrayDataset):
    rng = np.random.default_rng(0)

    def batch(self, indices: Any, /) -> tuple[Any, ...]:
        x, y = super().batch(indices)
        return x + self.rng.normal(size=x.shape), y


class OneTooMany(ArrayDataset):
    def batch(self, indices: Any, /) -> tuple[Any, ...]:
        return super().batch(np.append(indices, 0))


class SeedlessView(Augmented):
    rng = np.random.default_rng(0)

    def augmented(self, indices: Any, /, *, seed: int) -> tuple[Any, ...]:
        return super().augmented(indices, seed=int(self.rng.integers(2**32)))


@pytest.mark.parametrize(
    "dataset",
    [ArrayDataset(X, Y), MappingDataset({"x": X, "labels": Y}), Augmented(X, Y), Padded(X, Y)],
)
def test_proper_datasets_pass(dataset: Any) -> None:
    check_dataset(dataset)


@pytest.mark.parametrize("broken", [InOrderOfPosition, RandomView, OneTooMany, SeedlessView])
def test_broken_datasets_are_caught(broken: type[ArrayDataset]) -> None:
    with pytest.raises(AssertionError):
        check_dataset(broken(X, Y))


def test_an_empty_dataset_is_caught() -> None:
    with pytest.raises(AssertionError):
        check_dataset(ArrayDataset(X[:0], Y[:0]))
