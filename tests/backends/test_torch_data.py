"""Batches on the model's device, and PyTorch's datasets by position."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

import gexcore as gx
from gexcore.backend.data import ArrayDataset, as_dataset
from gexcore.errors import InvalidDataError
from gexcore.testing.datasets import check_dataset
from gexcore_torch.backend import TorchBackend
from gexcore_torch.data import Placement, TorchDataset, dataset_of

HOST = Placement(torch.device("cpu"), torch.float32)


class Pairs(Dataset[Any]):
    """Samples with a random view."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        noise = random.random() + np.random.normal() + torch.randn(2)  # noqa: NPY002
        return i + 0.1 * noise, i % 3


class Named(Dataset[Any]):
    def __len__(self) -> int:
        return 6

    def __getitem__(self, i: int) -> dict[str, Any]:
        return {"x": np.full(2, i, np.float32), "name": f"sample {i}", "label": i % 2}


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield torch.zeros(2), 0


def doubled(samples: list[Any]) -> tuple[Tensor, Tensor]:
    return 2 * torch.stack([x for x, _ in samples]), torch.tensor([y for _, y in samples])


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (np.zeros((2, 3)), torch.float32),
        (np.zeros((2, 3), np.float16), torch.float32),
        (np.zeros((2, 3), np.uint8), torch.float32),
        (np.zeros((2, 3), np.int32), torch.int64),
        (np.zeros((2, 3), np.uint16), torch.int64),
        (np.zeros((2, 3), bool), torch.bool),
        (np.zeros((2, 3), ">f4"), torch.float32),
        (np.zeros((2, 3))[:, ::-1], torch.float32),
        (torch.zeros(2, 3, dtype=torch.float64), torch.float32),
        (torch.zeros(2, 3, dtype=torch.complex64), torch.complex64),
    ],
)
def test_inputs_take_the_models_dtype(array: Any, dtype: torch.dtype) -> None:
    placed = HOST.place(array)
    assert placed.dtype == dtype
    assert placed.shape == (2, 3)


def test_read_only_and_reversed_arrays_keep_their_values() -> None:
    array = np.arange(6.0, dtype=np.float32)
    array.flags.writeable = False
    assert HOST.place(array).tolist() == array.tolist()
    assert HOST.place(array[::-1]).tolist() == array[::-1].tolist()
    assert HOST.place(array.astype(">f4")).tolist() == array.tolist()


def test_labels_stay_integers() -> None:
    assert HOST.call((np.zeros(2), np.array([0, 255], np.uint8))).target.tolist() == [0, 255]
    assert HOST.call((np.zeros(2), np.array([0, 1], np.uint8))).target.dtype == torch.int64


class Point(NamedTuple):
    x: Any
    y: Any


def test_everything_in_a_batch_goes_to_the_device_and_strings_stay() -> None:
    meta = Placement(torch.device("meta"), torch.float64)
    tracked = torch.zeros(2, requires_grad=True)
    call = meta.call(
        ({"a": np.zeros(2), "name": ["p", "q"]}, Point(tracked, (tracked, None)), np.zeros(2))
    )
    first, second = call.args
    assert first["a"].is_meta
    assert first["name"] == ["p", "q"]
    assert isinstance(second, Point)
    assert second.x.is_meta
    assert second.y[0].is_meta
    assert second.y[1] is None
    assert call.target.is_meta
    assert not HOST.place(tracked).requires_grad


def test_double_precision_models_get_double_precision() -> None:
    backend = TorchBackend(nn.Linear(2, 3).double())
    losses = backend.forward(
        backend.initial_state(), (np.zeros((4, 2), np.float32), np.zeros(4, np.int32))
    )
    assert losses.dtype == torch.float64


def test_placement_is_that_of_the_model() -> None:
    model = nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 2)).double().to("meta")
    assert Placement.of(model) == Placement(torch.device("meta"), torch.float64)


@pytest.mark.parametrize("batch", [np.zeros(3), (np.zeros(3),), {"x": np.zeros(3)}, "text"])
def test_a_batch_without_target_is_refused(batch: Any) -> None:
    with pytest.raises(
        InvalidDataError,
        match=r"has no target; give \(x, y\), or a mapping with one of labels, label",
    ):
        HOST.call(batch)


@pytest.mark.parametrize(
    "data", [Pairs(), Subset(Pairs(), [3, 1, 2, 7]), DataLoader(Pairs(), 5, shuffle=True)]
)
def test_datasets_keep_their_contract_and_the_generators(data: Any) -> None:
    dataset = dataset_of(data)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1]  # type: ignore[index]  # noqa: NPY002
    assert dataset is not None
    check_dataset(dataset)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.array_equal(np.random.get_state()[1], before[2])  # type: ignore[index]  # noqa: NPY002


def test_augmentation_differs_by_seed_and_by_sample() -> None:
    dataset = TorchDataset(Pairs(), lambda samples: torch.stack([x for x, _ in samples]))
    one, again, other = (dataset.augmented(np.arange(4), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    noise = one[:, 0] - torch.arange(4)
    assert len(set(noise.tolist())) == 4


def test_a_loader_lends_its_dataset_and_collate_function() -> None:
    class Plain(Pairs):
        def __getitem__(self, i: int) -> tuple[Tensor, int]:
            return torch.full((2,), float(i)), i % 3

    indices = np.array([3, 1])
    for loader in (DataLoader(Plain(), 5, shuffle=True, collate_fn=doubled), Plain()):
        dataset = as_dataset(loader, TorchBackend(nn.Linear(2, 3)))
        x, y = dataset.batch(indices)
        scale = 2 if isinstance(loader, DataLoader) else 1
        assert (x[:, 0] / scale).tolist() == [3.0, 1.0]
        assert y.tolist() == [0, 1]
    unbatched = dataset_of(DataLoader(Plain(), batch_size=None))
    assert unbatched is not None
    assert unbatched.batch(indices)[1].tolist() == [0, 1]


def test_samples_with_names() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(2, 2)

        def forward(self, x: Tensor, name: list[str]) -> Tensor:
            assert all(n.startswith("sample") for n in name)
            return self.linear(x)

    backend = TorchBackend(Model())
    batch = as_dataset(Named(), backend).batch(np.array([0, 3]))
    assert backend.forward(backend.initial_state(), batch).shape == (2,)


@pytest.mark.parametrize(
    "data", [TensorDataset(torch.eye(3), torch.arange(3)), (torch.eye(3), torch.arange(3))]
)
def test_tensors_are_indexed_directly(data: Any) -> None:
    dataset = dataset_of(data)
    assert isinstance(dataset, ArrayDataset)
    check_dataset(dataset)
    x, y = dataset.batch(np.array([2, 0]))
    assert x.tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    assert y.tolist() == [2, 0]


@pytest.mark.parametrize("data", [Stream(), DataLoader(Stream(), batch_size=2)])
def test_a_stream_is_refused(data: Any) -> None:
    with pytest.raises(
        InvalidDataError,
        match=r"Stream has no positions to score samples by; give list\(dataset\)",
    ):
        dataset_of(data)


@pytest.mark.parametrize(
    "data", [(np.zeros(3), np.zeros(3)), {"x": np.zeros(3)}, [1, 2], "text", (torch.zeros(3),)]
)
def test_what_is_not_pytorchs_is_left_to_others(data: Any) -> None:
    assert dataset_of(data) is None


def test_test_data_that_the_model_cannot_take_are_told() -> None:
    x, y = np.random.default_rng(0).normal(size=(12, 4)), np.arange(12) % 3
    model = nn.Linear(4, 3)
    method = gx.GEX(chains=1, snapshots=2, steps_per_snapshot=1, lr=0.01)
    found = method.fit(model, (x, y), progress=False)
    wrong = {
        r"the model cannot take this batch of the data": (x[:, :3], y),
        r"label 3 is|first at position 2; give labels of the model's classes": (x, y + 1),
    }
    for told, test in wrong.items():
        with pytest.raises(InvalidDataError, match=told):
            found.influence(test)
        with pytest.raises(InvalidDataError, match=told):
            method.fit(model, (x, y), test=test, progress=False)


def test_a_sparse_tensor_is_refused_with_what_to_give() -> None:
    x, y = torch.eye(12).to_sparse(), torch.arange(12) % 3
    with pytest.raises(InvalidDataError, match=r"a sparse matrix of shape .* give x.to_dense\(\)"):
        gx.Loss().fit(nn.Linear(12, 3), x, y, progress=False)
