"""Batches in the form of the model, and TensorFlow's datasets by position."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from gexcore.backend.data import TARGET_KEYS, ArrayDataset, MappingDataset, to_numpy
from gexcore.backend.protocols import Dataset
from gexcore.backend.refusals import no_target
from gexcore.backend.rows import WEIGHTS
from gexcore.errors import GexWarning, InvalidDataError


class Call(NamedTuple):
    """A batch in the form of the model: ``model(inputs)``, and its `target`."""

    inputs: Any
    target: Any


@dataclass(frozen=True)
class Placement:
    """Device and type of the model, to which batches are brought.

    Parameters
    ----------
    device : str
    dtype : tf.DType
        Type of floating inputs and targets, and of uint8 inputs (images). Other integers become
        int64.
    """

    device: str
    dtype: tf.DType

    @classmethod
    def of(cls, params: tuple[tf.Tensor, ...]) -> Placement:
        """The device of the first parameter, and the first floating dtype."""
        return cls(
            params[0].device, next((p.dtype for p in params if p.dtype.is_floating), tf.float32)
        )

    def call(self, batch: Any) -> Call:
        """Split a batch into inputs and target, on the device.

        Parameters
        ----------
        batch : (x, y), (x1, …, xn, y) or mapping
            Batch of arrays of any library, nested in the form of the model. The target of a mapping
            is the first of `gexcore.backend.data.TARGET_KEYS`. The model gets several inputs as a
            list, inputs of a mapping as a mapping, and a single input unchanged.

        Raises
        ------
        InvalidDataError
            If the batch has no target.
        """
        with tf.device(self.device):
            return self._call(batch)

    def place(self, value: Any, *, target: bool = False) -> Any:
        """Arrays as tensors on the device, also in containers."""
        if isinstance(value, Mapping):
            return {name: self.place(item, target=target) for name, item in value.items()}
        if isinstance(value, tuple) or (
            isinstance(value, list) and any(hasattr(item, "shape") for item in value)
        ):
            return [self.place(item, target=target) for item in value]
        # NumPy first, because TensorFlow is slow to see that an array is no tensor
        if not isinstance(value, np.ndarray) and tf.is_tensor(value):
            dtype = self._dtype(value.dtype, target)
            return value if dtype is None else tf.cast(value, dtype)
        array = to_numpy(value)
        dtype = self._dtype(_native(array.dtype), target)
        return tf.constant(
            array if dtype is None else array.astype(dtype.as_numpy_dtype, copy=False)
        )

    def _call(self, batch: Any) -> Call:
        if isinstance(batch, tuple | list) and len(batch) >= 2:
            columns = [self.place(item) for item in batch[:-1]]
            return Call(
                columns if len(columns) > 1 else columns[0], self.place(batch[-1], target=True)
            )
        key = (
            next((key for key in TARGET_KEYS if key in batch), None)
            if isinstance(batch, Mapping)
            else None
        )
        if key is not None:
            entries = {name: self.place(item) for name, item in batch.items() if name != key}
            inputs = entries if len(entries) != 1 else next(iter(entries.values()))
            return Call(inputs, self.place(batch[key], target=True))
        raise no_target(batch)

    def _dtype(self, dtype: tf.DType, target: bool) -> Any:
        if dtype.is_floating or (dtype == tf.uint8 and not target):
            return self.dtype
        return tf.int64 if dtype.is_integer else None


@functools.cache
def _native(dtype: np.dtype[Any]) -> tf.DType:
    return tf.as_dtype(dtype.newbyteorder("="))


def dataset_of(data: Any) -> Dataset[Any] | None:
    """A dataset in TensorFlow's own form as a `Dataset`, else None.

    A ``tf.data.Dataset`` has no positions, so it is read once, into arrays in host memory. This
    takes its own size, and for a moment the size of its largest column again. Random parts (`map`
    with augmentation) keep the values of that reading.

    Parameters
    ----------
    data : tf.data.Dataset, or tuple or mapping of tensors
        Data with elements (x, y) or mappings, batched or not. They count as batched if their
        leading dimensions are all equal or all unknown.

    Raises
    ------
    InvalidDataError
        If the dataset may be endless, is shuffled, or has elements of another form or unequal
        shapes.
    """
    if isinstance(data, tf.data.Dataset):
        return _read(data)
    if isinstance(data, tuple | list) and len(data) >= 2 and all(tf.is_tensor(c) for c in data):
        return ArrayDataset(*(c.numpy() for c in data))
    if isinstance(data, Mapping) and data and all(tf.is_tensor(c) for c in data.values()):
        return MappingDataset({name: c.numpy() for name, c in data.items()})
    return None


def _read(data: Any) -> Dataset[Any]:
    spec = data.element_spec
    leaves = tf.nest.flatten(spec)
    pair = isinstance(spec, tuple) and len(spec) in (2, 3)
    known = all(isinstance(leaf, tf.TensorSpec) and leaf.shape.rank is not None for leaf in leaves)
    if not known or not (pair or isinstance(spec, Mapping)):
        msg = (
            f"the elements of the tf.data.Dataset are {spec}; give elements (x, y), or mappings, "
            "of dense tensors with known numbers of dimensions"
        )
        raise InvalidDataError(msg)
    if data.cardinality() < 0:
        msg = (
            "the tf.data.Dataset does not say that it ends; leave repeat() out, and where the "
            "number of elements is known to you only, tell it with "
            "dataset.apply(tf.data.experimental.assert_cardinality(n))"
        )
        raise InvalidDataError(msg)
    if _shuffles(data):
        msg = (
            "the tf.data.Dataset is shuffled, so position i is not your sample i; leave shuffle "
            "out (shuffle=False in functions of Keras): the members shuffle by themselves"
        )
        raise InvalidDataError(msg)
    sizes = {leaf.shape[0] if leaf.shape.rank else 0 for leaf in leaves}
    batched = len(sizes) == 1 and sizes != {0}
    columns = tf.nest.pack_sequence_as(
        spec, _columns(data.as_numpy_iterator(), len(leaves), batched=batched)
    )
    if not pair:
        return MappingDataset(columns)
    x, y = columns[:2]
    if len(columns) == 3:
        warnings.warn(WEIGHTS, GexWarning, stacklevel=2)
    if isinstance(x, Mapping):
        return MappingDataset({**x, TARGET_KEYS[0]: y})
    return ArrayDataset(*(x if isinstance(x, tuple) else (x,)), y)


def _columns(elements: Iterable[Any], count: int, *, batched: bool) -> list[NDArray[Any]]:
    rows: list[list[NDArray[Any]]] = [[] for _ in range(count)]
    for element in elements:
        for column, leaf in zip(rows, tf.nest.flatten(element), strict=True):
            column.append(np.asarray(leaf))
    columns: list[NDArray[Any]] = []
    while rows:
        column = rows.pop(0)
        try:
            columns.append(
                (np.concatenate if batched else np.stack)(column) if column else np.empty(0)
            )
        except ValueError as error:
            msg = "the samples of the tf.data.Dataset have unequal shapes; pad them to one shape"
            raise InvalidDataError(msg) from error
    return columns


def _shuffles(data: Any) -> bool:
    return type(data).__name__ == "_ShuffleDataset" or any(map(_shuffles, data._inputs()))
