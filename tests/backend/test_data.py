"""Whatever the user has, as samples by position; and its losses, in order, one per sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gexcore.backend.data import ArrayDataset, MappingDataset, as_dataset, targets_of
from gexcore.backend.protocols import Dataset
from gexcore.errors import InvalidModelError
from gexcore.evaluation.losses import checked, evaluate, in_order
from gexcore.evaluation.statistics import Refresher
from gexcore_numpy import NumpyBackend

X = np.arange(24.0).reshape(8, 3)
Y = np.arange(8)
POSITIONS = [
    np.arange(8),
    np.array([2, 3, 4]),
    np.array([5]),
    np.array([4, 3, 2]),
    np.array([2, 7, 4]),
    np.array([2, 4]),
]


@pytest.mark.parametrize("indices", POSITIONS, ids=str)
@pytest.mark.parametrize(
    "data", [(X, Y), [X, Y], (X.tolist(), Y.tolist()), {"x": X, "y": Y}, {"x": X.tolist(), "y": Y}]
)
def test_a_batch_holds_the_rows_at_the_positions(data: Any, indices: Any) -> None:
    dataset = as_dataset(data)
    assert isinstance(dataset, Dataset)
    assert len(dataset) == 8
    batch = dataset.batch(indices)
    x, y = batch.values() if isinstance(batch, dict) else batch
    np.testing.assert_array_equal(x, X[indices])
    np.testing.assert_array_equal(y, Y[indices])


def test_neighbouring_rows_are_not_copied() -> None:
    x, _ = ArrayDataset(X, Y).batch(np.array([2, 3, 4]))
    assert np.shares_memory(x, X)


def test_several_inputs_come_before_the_target() -> None:
    batch = as_dataset((X, X[:, 0], Y)).batch(np.array([1, 5]))
    assert [column.shape for column in batch] == [(2, 3), (2,), (2,)]


def test_a_dataset_is_taken_as_it_is() -> None:
    class Own:
        def __len__(self) -> int:
            return 3

        def batch(self, indices: Any, /) -> Any:
            return indices

    own = Own()
    assert as_dataset(own) is own


@pytest.mark.parametrize(
    ("batch", "found"),
    [
        ((X, Y), Y),
        ([X, X, Y], Y),
        ({"x": X, "labels": Y}, Y),
        ({"target": Y, "x": X}, Y),
        ({"label": X, "labels": Y}, Y),
        ({"x": X}, None),
        ((X,), None),
        (X, None),
    ],
)
def test_targets_are_the_last_column_or_go_by_name(batch: Any, found: Any) -> None:
    targets = targets_of(batch)
    assert (targets is None) == (found is None)
    if found is not None:
        np.testing.assert_array_equal(targets, found)


@pytest.mark.parametrize(("n", "size"), [(1, 5), (5, 5), (6, 5), (12, 5)])
def test_all_positions_come_once_and_in_order(n: int, size: int) -> None:
    batches = list(in_order(n, size))
    assert np.concatenate(batches).tolist() == list(range(n))
    assert all(len(batch) == size for batch in batches[:-1])
    assert len(batches[-1]) <= size


@pytest.mark.parametrize("size", [7, 96, 1000])
def test_losses_are_in_the_order_of_the_data_whatever_the_batches(trained: Any, size: int) -> None:
    backend = NumpyBackend(trained.model)
    state = backend.initial_state()
    found = evaluate(backend, state, as_dataset(trained.data), batch_size=size)
    wanted = [
        backend.forward(state, (trained.x[i : i + 1], trained.y[i : i + 1]))[0] for i in range(96)
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_losses_must_be_one_per_sample() -> None:
    losses = np.zeros(4)
    assert checked(losses, 4) is losses
    for wrong in (np.zeros(3), np.zeros((4, 1)), np.float64(0), 0.0, [0.0, 0.0]):
        with pytest.raises(
            InvalidModelError, match=r"one number per sample, shape \(4,\), is needed"
        ):
            checked(wrong, 4)


def test_statistics_are_estimated_from_fixed_disjoint_random_batches(normalised: Any) -> None:
    class Recording(ArrayDataset):
        seen: list[Any]

        def batch(self, indices: Any, /) -> Any:
            self.seen.append(indices)
            return super().batch(indices)

    x, y = np.tile(normalised.x, (20, 1)), np.tile(normalised.y, 20)
    backend, data = NumpyBackend(normalised.model), Recording(x, y)
    data.seen = []
    refresh = Refresher(backend, data, seed=0)
    once, twice = refresh(backend.initial_state()), refresh(backend.initial_state())
    assert len(data.seen) == 16
    used = np.concatenate(data.seen[:8])
    assert len(set(used)) == len(used) == refresh.samples == 1024
    assert used.max() > 1024
    np.testing.assert_array_equal(np.concatenate(data.seen[8:]), used)
    np.testing.assert_array_equal(once.statistics[0].mean, twice.statistics[0].mean)
    assert Refresher(backend, as_dataset(normalised.data), seed=0).samples == 96


def test_a_model_without_statistics_passes_through_at_no_cost(trained: Any) -> None:
    backend = NumpyBackend(trained.model)
    refresh = Refresher(backend, as_dataset(trained.data), seed=0)
    state = backend.initial_state()
    assert refresh(state) is state
    assert refresh.samples == 0


def test_named_columns_keep_their_names() -> None:
    assert list(MappingDataset({"x": X, "y": Y}).batch(np.array([0]))) == ["x", "y"]
