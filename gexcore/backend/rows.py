"""Datasets of samples that are read one by one, and datasets through a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.arrays import TARGET_KEYS, targets_of, to_numpy
from gexcore.backend.capabilities import supports
from gexcore.backend.protocols import Dataset, Indices, SupportsAugmentation
from gexcore.errors import GexError, InvalidDataError

WEIGHTS = (
    "the third entry (x, y, weights) of the data is taken for weights of the samples, and the "
    "weights are left out: scores are of plain losses; give loss= a function to weight them"
)
"""The warning where weights of samples are left out."""

Collate = Callable[[list[Any]], Any]


class RowDataset:
    """Samples by position, as a `Dataset`: ``rows[i]`` is one sample.

    Parameters
    ----------
    rows : object with ``__len__`` and ``__getitem__``
        Samples (x, y), or mappings.
    collate : callable, optional
        Function from a list of samples to a batch. By default arrays are stacked.
    """

    def __init__(self, rows: Any, collate: Collate | None = None) -> None:
        self.rows = rows
        self.collate = collate

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: Indices, /) -> Any:
        """The samples at these positions."""
        samples = [sample_at(self.rows, position) for position in indices.tolist()]
        return whole((self.collate or stacked)(samples), len(samples))


class ThroughDataset:
    """A dataset whose batches go through a function."""

    def __init__(self, data: Dataset[Any], function: Callable[[Any], Any]) -> None:
        self.data = data
        self.function = function
        self.unsupported = () if supports(data, SupportsAugmentation) else (SupportsAugmentation,)

    def __len__(self) -> int:
        return len(self.data)

    def batch(self, indices: Indices, /) -> Any:
        """The samples at these positions."""
        return self.function(self.data.batch(indices))

    def augmented(self, indices: Indices, /, *, seed: int) -> Any:
        """The samples through the dataset's own augmentation."""
        data: Any = self.data
        return self.function(data.augmented(indices, seed=seed))


@dataclass(frozen=True, eq=False)
class Picked:
    """Data with the names of the entries that are inputs, and of the one that is the target.

    Parameters
    ----------
    data : Any
        Data whose batches are mappings.
    inputs : tuple of str, optional
        Names of the inputs. All other entries by default.
    label : str, optional
        Name of the target.
    """

    data: Any
    inputs: tuple[str, ...] | None = None
    label: str | None = None

    def pick(self, batch: Any) -> Any:
        """The batch with these entries only.

        Raises
        ------
        InvalidDataError
            If the batch is no mapping, or has no such entry.
        """
        if not isinstance(batch, Mapping):
            msg = (
                f"inputs= and label= name entries, and a batch of the data is a "
                f"{type(batch).__name__}; give samples that are dicts, or leave the names out"
            )
            raise InvalidDataError(msg)
        target = self.label or next((key for key in TARGET_KEYS if key in batch), None)
        inputs = self.inputs
        if inputs is None:
            inputs = tuple(name for name in batch if name != target)
        missing = [n for n in (*inputs, target) if n is not None and n not in batch]
        if missing:
            msg = (
                f"the data has no entry {missing[0]!r}; allowed are "
                f"{', '.join(map(str, list(batch)[:8]))}"
            )
            raise InvalidDataError(msg)
        found = {name: batch[name] for name in inputs}
        return found if target is None else {**found, TARGET_KEYS[0]: batch[target]}


def sample_at(rows: Any, position: int) -> Any:
    """One sample.

    Raises
    ------
    InvalidDataError
        If it cannot be read. The error names its position.
    """
    try:
        return rows[position]
    except GexError:
        raise
    except Exception as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())
        msg = (
            f"sample {position} of the dataset cannot be read ({told[:200]}); repair it, or leave "
            "its position out of the dataset"
        )
        raise InvalidDataError(msg) from error


def whole(batch: Any, samples: int) -> Any:
    """The batch of a collate function, refused where samples are missing.

    Raises
    ------
    InvalidDataError
    """
    target = targets_of(batch)
    if target is not None and target.ndim and len(target) < samples:
        msg = (
            f"the collate_fn made {len(target)} targets of {samples} samples, so positions are "
            "lost; give one that keeps every sample, and leave bad samples out of the dataset"
        )
        raise InvalidDataError(msg)
    return batch


def stacked(samples: list[Any]) -> Any:
    """Samples of equal shapes as one batch.

    Raises
    ------
    InvalidDataError
        If shapes differ.
    """
    first = samples[0]
    if isinstance(first, Mapping):
        return {name: _column([row[name] for row in samples], name) for name in first}
    if isinstance(first, tuple | list):
        return tuple(_column(list(rows), n) for n, rows in enumerate(zip(*samples, strict=True)))
    return _column(samples, 0)


def _column(rows: list[Any], name: Any) -> NDArray[Any]:
    try:
        return np.stack([to_numpy(row) for row in rows])
    except ValueError as error:
        raise uneven(name) from error


def uneven(name: Any) -> InvalidDataError:
    """The refusal of samples of unequal shapes."""
    return InvalidDataError(
        f"column {name} of the data has samples of unequal shapes; pad them to one shape, or give "
        "collate_fn= a function that pads a list of samples"
    )
