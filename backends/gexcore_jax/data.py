"""Batches as the model takes them, and JAX arrays as a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gexcore.backend.data import TARGET_KEYS, ArrayDataset, to_numpy
from gexcore.backend.protocols import Dataset, Indices
from gexcore.backend.refusals import no_target
from gexcore.errors import InvalidDataError

ARRAYS = (jax.Array, np.ndarray)


class Call(NamedTuple):
    """A batch in the form of the model: ``apply(…, *args, **kwargs)``, and its `target`."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    target: Any

    @property
    def size(self) -> int:
        """Number of samples b: the length of the first input that has one."""
        if (
            len(self.args) == 1 and isinstance(self.args[0], ARRAYS) and self.args[0].ndim
        ):  # the usual case
            return len(self.args[0])
        shapes = (np.shape(leaf) for leaf in jax.tree.leaves((self.args, self.kwargs)))
        return next((shape[0] for shape in shapes if shape), 1)

    def padded(self) -> Call:
        """The batch with its last sample repeated up to the next of few sizes.

        A ragged last batch, and test sets of any size, then use compiled code. This works only in
        evaluation mode, where no sample affects another.
        """
        size = self.size
        room = roomy(size)
        return self if room == size else self.rows(np.arange(room))

    def rows(self, indices: Indices) -> Call:
        """The samples at these positions. The last sample fills positions beyond it."""
        size = self.size
        if np.array_equal(indices, np.arange(size)):
            return self
        rows = np.minimum(indices, size - 1)
        chosen: Call = jax.tree.map(lambda a: a[rows] if np.shape(a)[:1] == (size,) else a, self)
        return chosen

    def shaped(self, size: int) -> Call:
        """The shapes of a batch with this many samples."""

        def shape(leaf: Any) -> jax.ShapeDtypeStruct:
            old = np.shape(leaf)
            return jax.ShapeDtypeStruct(
                (size, *old[1:]) if old[:1] == (self.size,) else old, leaf.dtype
            )  # type: ignore[no-untyped-call]

        call: Call = jax.tree.map(shape, self)
        return call


def roomy(size: int) -> int:
    """The next multiple of 8, or of a quarter of the largest power of two below.

    Examples
    --------
    >>> [roomy(size) for size in (1, 8, 30, 100, 300, 512)]
    [8, 8, 32, 112, 320, 512]
    """
    grain = 1 << max(3, size.bit_length() - 3)
    return -(-size // grain) * grain


@dataclass(frozen=True)
class Placement:
    """Device and type of the model, to which batches are brought.

    Parameters
    ----------
    sharding : jax.sharding.Sharding
        Placement of batches from other devices. NumPy arrays go to the parameters by default.
    dtype : dtype
        Type of floating inputs and targets, and of uint8 inputs (images).
    names : frozenset of str, optional
        Names of the inputs that the model takes. None where they are not known.
    most : int, optional
        Most positional inputs. A mapping without any of the names is the one input of a model.
    """

    sharding: jax.sharding.Sharding
    dtype: Any
    names: frozenset[str] | None = None
    most: int | None = None

    @classmethod
    def of(cls, params: Any) -> Placement:
        """The device and dtype of the first parameter; all devices of its mesh if there is one."""
        first: jax.Array = jax.tree.leaves(params)[0]
        sharding = first.sharding
        if isinstance(sharding, jax.sharding.NamedSharding):
            sharding = jax.sharding.NamedSharding(sharding.mesh, jax.sharding.PartitionSpec())  # type: ignore[no-untyped-call]
        return cls(sharding, first.dtype)

    def call(self, batch: Any) -> Call:
        """Split a batch into inputs and target, ready for a compiled function.

        Parameters
        ----------
        batch : (x, y), (x1, …, xn, y) or mapping
            Batch of arrays, nested in the form of the model. The target of a mapping is the first
            of `gexcore.backend.data.TARGET_KEYS`. The model gets the other entries as keywords.

        Raises
        ------
        InvalidDataError
            If the batch has no target, or values that are no numbers.
        """
        if isinstance(batch, tuple | list) and len(batch) >= 2:
            return Call(
                tuple(self._placed(item) for item in batch[:-1]),
                {},
                self._placed(batch[-1], target=True),
            )
        if isinstance(batch, Mapping):
            key = next((key for key in TARGET_KEYS if key in batch), None)
            if key is not None:
                inputs = {name: self._placed(item) for name, item in batch.items() if name != key}
                if self.most == 1 and self.names is not None and not self.names & inputs.keys():
                    return Call((inputs,), {}, self._placed(batch[key], target=True))
                return Call((), inputs, self._placed(batch[key], target=True))
        raise no_target(batch)

    def _placed(self, value: Any, *, target: bool = False) -> Any:
        if isinstance(value, ARRAYS):
            return self._array(value, target)
        return jax.tree.map(lambda leaf: self._array(leaf, target), value)

    def _array(self, value: Any, target: bool) -> Any:
        if isinstance(value, jax.Array):
            if value.devices() != self.sharding.device_set:
                value = jax.device_put(value, self.sharding)
        else:
            value = to_numpy(value)
            if value.dtype.kind in "OUSmM":
                msg = (
                    f"a batch holds values of type {value.dtype}, and JAX takes arrays of numbers "
                    "only; encode them, or leave that column out of the data"
                )
                raise InvalidDataError(msg)
        dtype = value.dtype
        if dtype == self.dtype or dtype.kind in "ib":
            return value
        if jnp.issubdtype(dtype, jnp.floating) or (dtype == np.uint8 and not target):
            return value.astype(self.dtype, copy=False)
        return value


@jax.jit
def _rows(columns: tuple[jax.Array, ...], indices: Any) -> tuple[jax.Array, ...]:
    return tuple(column[indices] for column in columns)


class JaxDataset(ArrayDataset):
    """JAX arrays with one sample per row. Batches stay on their device."""

    def batch(self, indices: Indices, /) -> tuple[Any, ...]:
        """The rows at these positions."""
        rows: tuple[Any, ...] = _rows(self.columns, indices)
        return rows


def full(array: Any) -> jax.Array:
    """An array in float32 at least: NumPy has no bfloat16, and three digits cannot rank samples."""
    return jnp.asarray(array, jnp.float32 if array.dtype in (jnp.float16, jnp.bfloat16) else None)


def dataset_of(data: Any) -> Dataset[Any] | None:
    """A tuple of two or more JAX arrays as a `Dataset`, else None."""
    if (
        isinstance(data, tuple | list)
        and len(data) >= 2
        and all(isinstance(c, jax.Array) and c.ndim for c in data)
    ):
        return JaxDataset(*data)
    return None
