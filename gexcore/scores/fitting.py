"""Common parts of the fits of all scores: checks of inputs, and the result."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.data import ArrayDataset, as_dataset, targets_of
from gexcore.backend.protocols import Dataset
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.evaluation.given import NO_NAMES, Names, understood
from gexcore.evaluation.losses import in_order
from gexcore.evaluation.numbering import numbered
from gexcore.evaluation.opening import BATCH_SIZE, opened
from gexcore.evaluation.passes import Passes
from gexcore.influence.record import Run, settings_of
from gexcore.influence.scores import High, Scores

NO_PASSES = Passes()


def make_scores(
    method: Any,
    values: NDArray[Any],
    *,
    labels: NDArray[np.intp] | None,
    unit: str,
    high: High = "mislabelled",
    started: float,
    backend: str | None = None,
    classes: int | None = None,
    passes: Passes = NO_PASSES,
    tie_break: NDArray[Any] | None = None,
    details: dict[str, NDArray[Any]] | None = None,
    names: Names = NO_NAMES,
) -> Scores:
    """The result of a fit that began at `started` of `time.perf_counter`."""
    run = Run(
        method=type(method).__name__,
        settings=settings_of(method),
        plan=None,
        backend=backend or "none",
        samples=len(values),
        classes=classes,
        snapshots=(),
        passes=passes,
        seconds=time.perf_counter() - started,
        names=names,
    )
    ties = None if tie_break is None else tie_break.astype(np.float64)
    return Scores(values.astype(np.float64), labels, unit, high, run, ties, details or {})


def check_checkpoints(checkpoints: Any) -> None:
    """Refuse a value that is no list of checkpoints.

    Raises
    ------
    InvalidSettingError
    """
    if not isinstance(checkpoints, list | tuple):
        msg = (
            f"checkpoints is of type {type(checkpoints).__name__}; give a list of checkpoints in "
            "the framework's own form"
        )
        raise InvalidSettingError(msg)


def given_labels(data: Dataset[Any]) -> NDArray[np.intp]:
    """The classes in a dataset, shape (samples,), without a pass through any model.

    Raises
    ------
    InvalidDataError
        If targets are no classes.
    """
    parts = [targets_of(data.batch(indices)) for indices in in_order(len(data), BATCH_SIZE)]
    targets = (
        None
        if any(part is None for part in parts)
        else np.concatenate([p for p in parts if p is not None])
    )
    if targets is None or targets.ndim != 1 or targets.dtype.kind not in "iub" or targets.min() < 0:
        raise InvalidDataError(
            "the data has no integer labels 0 … K−1, and this score judges labels; give (x, y)"
        )
    return targets.astype(np.intp)


def open_data(model: Any, data: Any, *, backend: str | None) -> Dataset[Any]:
    """Data for a score without a model. A given model helps to read its framework's datasets."""
    return (
        as_dataset(understood(data)[0])
        if model is None
        else opened(model, data, backend=backend).data
    )


def columns_of(data: Any, *, tables: bool = False) -> tuple[Any, Any, Names]:
    """Inputs and labels that can be cut into folds, and their names.

    With `tables`, a data frame stays one: the classifier reads it.

    Raises
    ------
    InvalidDataError
        If the data are not (x, y) arrays.
    """
    if tables:
        found, names = understood(data, reads_tables=True)
        if isinstance(found, tuple) and len(found) == 2 and hasattr(found[0], "iloc"):
            labels, classes = numbered(found[1])
            return found[0], labels, replace(names, classes=classes)
    columns, names = understood(data)
    dataset = as_dataset(columns)
    if not isinstance(dataset, ArrayDataset) or len(dataset.columns) != 2:
        raise InvalidDataError("cross-validation cuts the data into folds; give (x, y) arrays")
    x, y = dataset.columns
    return x, y, names
