"""Scores and new targets as columns of a Hugging Face dataset; the given dataset is never changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.clean import Cleaned
from gexcore.errors import InvalidDataError, OutputExistsError

SCORES = ("suspicion", "self_influence", "standard_error", "suspect", "suggested_label")


def with_scores(dataset: Any, columns: Mapping[str, NDArray[Any]], *, prefix: str = "gex_") -> Any:
    """A dataset with one more column per score, such as ``gex_suspicion``.

    Parameters
    ----------
    dataset : datasets.Dataset
    columns : mapping of arrays
        `Influence.columns`, of the same samples in the same order.
    prefix : str

    Raises
    ------
    InvalidDataError
        For another number of samples.
    OutputExistsError
        For a column that is there already.
    """
    if len(dataset) != len(columns["index"]):
        msg = (
            f"the dataset has {len(dataset)} rows and the scores {len(columns['index'])}; give "
            "the data that was scored"
        )
        raise InvalidDataError(msg)
    for name in SCORES:
        if prefix + name in dataset.column_names:
            raise OutputExistsError(
                f"the dataset has a column {prefix + name} already; choose another prefix"
            )
    for name in SCORES:
        if not all(value is None for value in columns[name][:1]):
            dataset = dataset.add_column(prefix + name, columns[name].tolist())
    return dataset


def with_targets(dataset: Any, cleaned: Cleaned, *, column: str = "label") -> Any:
    """The samples that were kept, with their new targets in place of the given ones.

    Parameters
    ----------
    dataset : datasets.Dataset
        Classes numbered 0 … K − 1; a ``ClassLabel`` stays one.
    cleaned : Cleaned
    column : str
        Moves to the end; soft targets are lists of K numbers.

    Raises
    ------
    InvalidDataError
        For a column that is not there, or a dataset too small for what was cleaned.
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
