"""Batches on the model's device, and PyTorch's datasets by position."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
    default_collate,
)
from torch.utils.data import Dataset as NativeDataset

from gexcore.backend.data import TARGET_KEYS, ArrayDataset, as_slice
from gexcore.backend.protocols import Dataset, Indices
from gexcore.backend.refusals import no_target
from gexcore.backend.rows import RowDataset, sample_at, uneven, whole
from gexcore.errors import GexWarning, InvalidDataError
from gexcore_torch.lightning import is_a, loader_of
from gexcore_torch.randomness import reseed, seeded

# a factor that separates the samples of one seed from the next seed
_SPREAD = 2654435761
_MASK = 0xFFFFFFFF


class Call(NamedTuple):
    """A batch in the form of the model: ``model(*args, **kwargs)``, and its `target`."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    target: Any


@dataclass(frozen=True)
class Placement:
    """Device and type of the model, to which batches are brought.

    Parameters
    ----------
    device : torch.device
    dtype : torch.dtype
        Type of floating inputs and targets, and of uint8 inputs (images). Other integers become
        int64.
    """

    device: torch.device
    dtype: torch.dtype

    @classmethod
    def of(cls, module: torch.nn.Module) -> Placement:
        """The device of the first parameter, and the first floating dtype."""
        params = list(module.parameters())
        dtypes = (p.dtype for p in params if p.is_floating_point())
        return cls(params[0].device, next(dtypes, torch.get_default_dtype()))

    def call(self, batch: Any) -> Call:
        """Split a batch into inputs and target, on the device.

        Parameters
        ----------
        batch : (x, y), (x1, …, xn, y) or mapping
            Batch of NumPy arrays and tensors, nested in the form of the model. The target of a
            mapping is the first of `gexcore.backend.data.TARGET_KEYS`. The model gets the other
            entries as keywords. It never gets the target, because it would return one loss for the
            whole batch.

        Raises
        ------
        InvalidDataError
            If the batch has no target.
        """
        if isinstance(batch, tuple | list) and len(batch) >= 2:
            return Call(
                tuple(self.place(item) for item in batch[:-1]),
                {},
                self.place(batch[-1], target=True),
            )
        if isinstance(batch, Mapping):
            key = next((key for key in TARGET_KEYS if key in batch), None)
            if key is not None:
                inputs = {name: self.place(item) for name, item in batch.items() if name != key}
                return Call((), inputs, self.place(batch[key], target=True))
        raise no_target(batch)

    def place(self, value: Any, *, target: bool = False) -> Any:
        """Arrays and tensors on the device, also in containers. Other values stay unchanged."""
        if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
            value = from_numpy(value)
        if isinstance(value, Tensor):
            dtype = self._dtype(value, target)
            if value.dtype != dtype or value.device != self.device:
                # asynchronous copies are safe and useful only from pinned memory to CUDA
                value = value.to(self.device, dtype, non_blocking=self.device.type == "cuda")
            return plain(value)
        if isinstance(value, Mapping):
            return {name: self.place(item, target=target) for name, item in value.items()}
        if isinstance(value, list | tuple):
            items = [self.place(item, target=target) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
        return value

    def _dtype(self, value: Tensor, target: bool) -> torch.dtype:
        if value.is_floating_point() or (value.dtype == torch.uint8 and not target):
            return self.dtype
        if value.dtype == torch.bool or value.is_complex():
            return value.dtype
        return torch.int64


class TensorColumns(ArrayDataset):
    """Tensors with one sample per row. Batches stay on their device."""

    def batch(self, indices: Indices, /) -> tuple[Tensor, ...]:
        """The rows at these positions."""
        if isinstance(as_slice(indices), slice):
            return super().batch(indices)
        # indexing a tensor by a NumPy array takes several times as long
        rows = from_numpy(indices)
        return tuple(column.index_select(0, rows.to(column.device)) for column in self.columns)


class TorchDataset:
    """A map-style dataset as a `Dataset`: samples by position, collated like its loader.

    The generators of PyTorch, NumPy and Python are seeded for every sample by its position. So
    `batch` shows one view of a sample in any batch. The caller's generators do not change.
    """

    def __init__(self, rows: Any, collate: Callable[[list[Any]], Any]) -> None:
        self.rows = rows
        self.collate = collate

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: Indices, /) -> Any:
        """The samples at these positions; equal on every call."""
        return self.augmented(indices, seed=0)

    def augmented(self, indices: Indices, /, *, seed: int) -> Any:
        """Random views of the samples, equal for equal seeds."""
        samples = []
        with seeded(seed):
            for position in indices.tolist():
                reseed((seed + 1) * _SPREAD + position & _MASK)
                samples.append(sample_at(self.rows, position))
            reseed(seed)
            return whole(self._collated(samples), len(samples))

    def _collated(self, samples: list[Any]) -> Any:
        try:
            return self.collate(samples)
        except (RuntimeError, ValueError) as error:
            if self.collate is not default_collate:
                raise
            raise uneven("x") from error


def dataset_of(data: Any, names: Collection[str] | None = None) -> Dataset[Any] | None:
    """A dataset in PyTorch's own form as a `Dataset`, else None.

    Parameters
    ----------
    data : torch.utils.data.Dataset, DataLoader or tuple of tensors
        Data. The dataset and collate function of a loader are used. Its order and batch size are
        not.
    names : collection of str, optional
        Names of the model's inputs. A collate function of the fit gets no other columns.

    Raises
    ------
    InvalidDataError
        If the dataset has no positions.
    """
    collate: Callable[[list[Any]], Any] = default_collate
    if is_a(data, "LightningDataModule"):
        data = loader_of(data)
    if isinstance(data, RowDataset):
        return TorchDataset(_taken(data.rows, names), data.collate or collate)
    if isinstance(data, DataLoader):
        # without batching, the collate function of a loader takes a single sample
        _check_positions(data)
        collate = data.collate_fn if data.batch_sampler is not None else default_collate
        data = data.dataset
    elif (
        isinstance(data, tuple | list)
        and len(data) >= 2
        and all(isinstance(c, Tensor) for c in data)
    ):
        return TensorColumns(*data)
    elif not isinstance(data, NativeDataset):
        return None
    if isinstance(data, IterableDataset) or not hasattr(data, "__len__"):
        msg = (
            f"{type(data).__name__} has no positions to score samples by; give list(dataset), read "
            "without shuffling, a Dataset with __len__ and __getitem__, or (x, y) arrays"
        )
        raise InvalidDataError(msg)
    if type(data) is TensorDataset and collate is default_collate:
        return TensorColumns(*data.tensors)
    return TorchDataset(data, collate)


def _taken(rows: Any, names: Collection[str] | None) -> Any:
    """A Hugging Face dataset without columns that the model does not take; other rows as they are.

    Collators of ``transformers`` cannot pad columns of words.
    """
    columns = getattr(rows, "column_names", None)
    if not isinstance(columns, list) or not names or not set(names) & set(columns):
        return rows
    extra = [c for c in columns if c not in names and c not in (*TARGET_KEYS, "label_ids")]
    if not extra:
        return rows
    warnings.warn(
        f"columns of the data that the model does not take are left out: {', '.join(extra)}",
        GexWarning,
        stacklevel=2,
    )
    return rows.remove_columns(extra)


def _check_positions(loader: DataLoader[Any]) -> None:
    """Refuse a loader whose sampler leaves samples out or repeats them.

    Raises
    ------
    InvalidDataError
    """
    batches = loader.batch_sampler
    sampler: Any = loader.sampler if batches is None else batches
    if type(batches) is BatchSampler:
        sampler = batches.sampler
    if isinstance(loader.dataset, IterableDataset) or type(sampler) is DistributedSampler:
        return
    n = len(loader.dataset)  # type: ignore[arg-type]
    whole = not getattr(sampler, "replacement", False) and len(sampler) == n
    if whole and isinstance(sampler, SequentialSampler | RandomSampler):
        return
    with seeded(0):
        drawn = np.array([int(i) for i in _flat(sampler)])
    distinct = np.unique(drawn)
    if len(distinct) == len(drawn) == n:
        return
    name = type(sampler).__name__
    if len(distinct) == len(drawn):
        msg = (
            f"the loader's {name} gives {len(drawn)} of the dataset's {n} samples; give "
            "torch.utils.data.Subset(dataset, positions) with the positions to score"
        )
    else:
        msg = (
            f"the loader's {name} draws some samples several times and others never; give "
            "DataLoader(dataset, collate_fn=...) without a sampler: every sample is scored once"
        )
    raise InvalidDataError(msg)


def _flat(sampler: Any) -> Iterator[Any]:
    for item in sampler:
        yield from item if isinstance(item, list | tuple) else (item,)


def plain(tensor: Tensor) -> Tensor:
    """The values without history: outside of gradient graphs and inference mode."""
    if tensor.is_inference() and not torch.is_inference_mode_enabled():
        return tensor.clone()
    return tensor.detach() if tensor.requires_grad else tensor


def full(tensor: Tensor) -> Tensor:
    """An array in float32 at least: NumPy has no bfloat16, and three digits cannot rank samples."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def from_numpy(array: NDArray[Any]) -> Tensor:
    """The array as a tensor, without a copy if PyTorch can share its memory."""
    if (
        not array.flags.writeable
        or not array.dtype.isnative
        or any(stride < 0 for stride in array.strides)
    ):
        array = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
    return torch.from_numpy(array)
