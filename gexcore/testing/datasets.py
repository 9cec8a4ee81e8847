"""Laws of datasets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import supports
from gexcore.backend.data import targets_of, to_numpy
from gexcore.backend.protocols import Dataset, SupportsAugmentation
from gexcore.testing._hypothesis import law
from gexcore.testing.strategies import positions


def _columns(batch: Any) -> list[NDArray[Any]]:
    if isinstance(batch, Mapping):
        return [to_numpy(batch[name]) for name in sorted(batch)]
    return [to_numpy(column) for column in (batch if isinstance(batch, tuple | list) else [batch])]


def _assert_same(got: Any, want: list[NDArray[Any]]) -> None:
    columns = _columns(got)
    assert len(columns) == len(want)
    for column, other in zip(columns, want, strict=True):
        assert np.array_equal(column, other), f"{column}\ninstead of\n{other}"


def check_dataset(dataset: Dataset[Any]) -> None:
    """A dataset gives the requested samples in the requested order, equal on every call.

    Parameters
    ----------
    dataset : Dataset
        Dataset with deterministic `batch`. Augmentation belongs into `augmented`. A batch is an
        array, or a tuple, list or mapping of arrays with one row per sample.

    Raises
    ------
    AssertionError
        If columns differ. The error names them.
    """
    assert isinstance(dataset, Dataset)
    n = min(len(dataset), 32)
    assert n > 0

    @law(chosen=positions(n, (1, (n + 1) // 2, n)), turned=positions(n, (n,)))
    def holds(chosen: NDArray[np.intp], turned: NDArray[np.intp]) -> None:
        first = dataset.batch(chosen)
        columns = [column.copy() for column in _columns(first)]
        assert all(len(column) == len(chosen) for column in columns)
        _assert_same(dataset.batch(chosen), columns)
        targets = targets_of(first)
        assert targets is None or len(targets) == len(chosen)
        # the same samples, because batches may be padded to the longest sample
        order = turned[turned < len(chosen)]
        _assert_same(dataset.batch(chosen[order]), [column[order] for column in columns])
        if supports(dataset, SupportsAugmentation):
            augmented: Any = dataset
            columns = [column.copy() for column in _columns(augmented.augmented(chosen, seed=1))]
            assert all(len(column) == len(chosen) for column in columns)
            _assert_same(augmented.augmented(chosen, seed=1), columns)

    holds()
