"""Scores and new targets as columns of a new Hugging Face dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.clean import Cleaned
from gexcore.errors import InvalidDataError, OutputExistsError

SCORES = ("suspicion", "self_influence", "standard_error", "suspect", "suggested_label")


def with_scores(dataset: Any, columns: Mapping[str, NDArray[Any]], *, prefix: str = "gex_") -> Any:
    """A new dataset with one more column per score, such as ``gex_suspicion``.

    Parameters
    ----------
    dataset : datasets.Dataset
    columns : mapping of arrays
        Columns of `Influence.columns`, for the same samples in the same order. The suggested label
        is the most probable one if the given label is wrong.
    prefix : str

    Raises
    ------
    InvalidDataError
        If the number of samples differs.
    OutputExistsError
        If a column already exists.
    """
    if len(dataset) != len(columns["index"]):
        msg = (
            f"the dataset has {len(dataset)} rows and the scores {len(columns['index'])}; give "
            "the data that was scored"
        )
        raise InvalidDataError(msg)
    scores = [name for name in SCORES if name in columns]
    for name in scores:
        if prefix + name in dataset.column_names:
            raise OutputExistsError(
                f"the dataset has a column {prefix + name} already; choose another prefix"
            )
    for name in scores:
        if not all(value is None for value in columns[name][:1]):
            dataset = dataset.add_column(prefix + name, columns[name].tolist())
    return dataset


def with_targets(dataset: Any, cleaned: Cleaned, *, column: str = "label") -> Any:
    """The kept samples, with new targets in place of the given targets.

    Parameters
    ----------
    dataset : datasets.Dataset
        Dataset with classes 0 … K − 1. A ``ClassLabel`` stays a ``ClassLabel``.
    cleaned : Cleaned
    column : str
        Column of the targets. It moves to the end. Soft targets are lists of K numbers.

    Raises
    ------
    InvalidDataError
        If the column does not exist, or the dataset is too small for the cleaned data.
    """
    if column not in dataset.column_names:
        msg = f"the dataset has no column {column}; give one of {', '.join(dataset.column_names)}"
        raise InvalidDataError(msg)
    if len(cleaned) and cleaned.indices[-1] >= len(dataset):
        msg = (
            f"the dataset has {len(dataset)} rows and position {cleaned.indices[-1]} is kept; "
            "give the data that was scored"
        )
        raise InvalidDataError(msg)
    kept, kind = dataset.select(cleaned.indices).remove_columns(column), dataset.features[column]
    if cleaned.targets.ndim == 1:
        return kept.add_column(column, cleaned.targets.tolist()).cast_column(column, kind)
    return kept.add_column(column, cleaned.targets.astype(np.float32).tolist())
