"""Columns of a result in the words of other tools: names of classes, and a quality from 0 to 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.errors import InvalidDataError


def arrays_of(columns: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Columns by position, from a mapping or a data frame."""
    return {str(name): np.asarray(columns[name]) for name in columns}


def check_length(samples: int, scores: int) -> None:
    """Refuse samples that are not those of the scores.

    Raises
    ------
    InvalidDataError
    """
    if samples != scores:
        raise InvalidDataError(
            f"there are {samples} samples and {scores} scores; give the data that was scored"
        )


def class_name(value: Any, class_names: Sequence[str] | None) -> str:
    """The name of a class: a number is looked up, a name is its own.

    Raises
    ------
    InvalidDataError
        If a number has no name.
    """
    if class_names is None or isinstance(value, str):
        return str(value)
    if not 0 <= value < len(class_names):
        raise InvalidDataError(
            f"class {value} has no name among {len(class_names)}; give one for each class"
        )
    return str(class_names[value])


def quality_of(suspicion: NDArray[Any]) -> NDArray[np.float64]:
    """A quality from 0 (suspicious) to 1, shape (samples,).

    It is exp(−suspicion), and for a suspicion with negative values the share of samples that are
    at least as suspicious. A sample of unknown suspicion has quality 1.
    """
    values = suspicion.astype(np.float64)
    known = ~np.isnan(values)
    quality = np.ones(len(values))
    if known.any() and values[known].min() >= 0:
        quality[known] = np.exp(-values[known])
    elif known.any():
        found = np.sort(values[known])
        below = np.searchsorted(found, values[known], side="left")
        quality[known] = (len(found) - below) / len(found)
    return quality
