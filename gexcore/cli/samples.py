"""Training sets as they came: inputs and labels for a model, and rows to write again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.cli.reading import Reading
from gexcore.errors import InvalidDataError

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 5
"""Names that an error message lists."""


class Given(NamedTuple):
    """Data as a model takes it.

    Parameters
    ----------
    x : array, data frame, or mapping of arrays
    y : array
    names : list or None
        Names of the classes 0 … K − 1 of the scores. None where these numbers are the labels.
    """

    x: Any
    y: NDArray[Any]
    names: list[Any] | None

    @property
    def data(self) -> Any:
        """The data of a fit."""
        if isinstance(self.x, Mapping):
            return {**self.x, "labels": self.y}
        return self.x, self.y


@dataclass(frozen=True, eq=False)
class Samples:
    """A training set.

    Parameters
    ----------
    y : array
        Labels or targets, as they came.
    x : array, or None
        Inputs. None for a table.
    frame : DataFrame, or None
        The columns of a table with their types.
    rows : DataFrame, or None
        What a cleaned table holds: the cells as they came.
    reading : Reading
    names : list of str, or None
        Names of the classes, where `y` holds their numbers.
    pictures : bool
        Whether `x` holds pictures, shape (samples, height, width, channels).
    root : Path, or None
        Folder of the pictures.
    dataset : datasets.Dataset, or None
    """

    y: NDArray[Any]
    x: NDArray[Any] | None = None
    frame: pd.DataFrame | None = None
    rows: pd.DataFrame | None = None
    reading: Reading = field(default_factory=Reading)
    names: list[str] | None = None
    pictures: bool = False
    root: Path | None = None
    dataset: Any = None

    def __len__(self) -> int:
        return len(self.y)

    @property
    def ids(self) -> NDArray[Any] | None:
        """The cells of the column `Reading.id`."""
        if self.reading.id is None or self.rows is None:
            return None
        return np.asarray(self.rows[self.reading.id], dtype=object)

    def given_to(
        self,
        model: Any,
        inputs: Callable[[Any], Mapping[str, Any]] | None = None,
        classes: Sequence[str] = (),
    ) -> Given:
        """Inputs and labels in the form that this model takes.

        A scikit-learn model gets its own columns, by name, and the labels as they came. Any other
        model gets an array of float64, and text labels as numbers in the order of their names.
        PyTorch gets pictures with their channels first, and scikit-learn gets them as rows.

        Parameters
        ----------
        model : native model, or None
        inputs, classes
            See `gexcore.backend.plugins.StoredModel`.

        Raises
        ------
        InvalidDataError
            If a column is missing, or is no number where only numbers are allowed.
        """
        x: Any = self.x
        if x is not None and self.pictures:
            if is_of("torch", model):
                x = np.ascontiguousarray(np.moveaxis(x, -1, 1))
            elif is_of("sklearn", model):
                x = x.reshape(len(x), -1)
        if self.frame is not None:
            if self.reading.text is not None:
                x = np.asarray(self.frame[self.reading.text].fillna(""), dtype=object)
            else:
                x = self._columns(self.frame, model)
        y, names = self._targets(model, list(classes))
        return Given(x if inputs is None else inputs(x), y, names)

    def _columns(self, frame: pd.DataFrame, model: Any) -> Any:
        reading = self.reading
        fitted = _fitted_names(model)
        chosen = list(reading.columns) or (
            fitted if fitted and set(fitted) <= set(frame.columns) else None
        )
        if chosen is None:
            others = {reading.label, reading.id}
            chosen = [name for name in frame.columns if name not in others]
        if not chosen:
            raise InvalidDataError(
                f"there is no column beside {reading.label}; give at least one feature"
            )
        lost = [name for name in fitted or () if name not in chosen]
        if lost:
            raise InvalidDataError(
                f"the model was fitted with a column {lost[0]!r}, and DATA gives it "
                f"{_listed(chosen)}; give the columns of the training"
            )
        if fitted:
            return frame[fitted]
        x = frame[chosen]
        if len(chosen) == 1 and isinstance(x[chosen[0]].iloc[0], list | np.ndarray):
            return np.stack([np.asarray(cell) for cell in x[chosen[0]]])
        if is_of("sklearn", model) and not all(kind.kind in "biuf" for kind in x.dtypes):
            return x
        arrays = [_numbers(name, x[name]) for name in chosen]
        return np.stack(arrays, axis=1)

    def _targets(self, model: Any, classes: list[str]) -> tuple[NDArray[Any], list[Any] | None]:
        y, names = self.y, self.names
        fitted = getattr(model, "classes_", None) if is_of("sklearn", model) else None
        if isinstance(fitted, np.ndarray) and fitted.ndim == 1:
            if names is not None and fitted.dtype.kind not in "biuf":
                y, names = np.asarray(names)[y], None
            if np.array_equal(fitted, np.arange(len(fitted))) and fitted.dtype.kind in "iu":
                return y, names
            return y, fitted.tolist()
        if classes and y.dtype.kind == "U":
            unknown = sorted(set(y.tolist()) - set(classes))
            if unknown:
                raise InvalidDataError(
                    f"label {unknown[0]!r} is none of the classes of the model "
                    f"({_listed(classes)}); give the labels of the training"
                )
            return np.array([classes.index(label) for label in y.tolist()]), classes
        if names is not None or y.dtype.kind in "iuf":
            return y, names or classes or None
        known, codes = np.unique(y, return_inverse=True)
        return codes.reshape(y.shape), known.tolist()


def is_of(framework: str, model: Any) -> bool:
    """Whether a class of the model comes from this package, which is not imported."""
    return any(cls.__module__.partition(".")[0] == framework for cls in type(model).__mro__)


def _fitted_names(model: Any) -> list[str] | None:
    names = getattr(model, "feature_names_in_", None) if is_of("sklearn", model) else None
    return None if names is None else [str(name) for name in names]


def _numbers(name: str, column: pd.Series[Any]) -> NDArray[np.float64]:
    if column.dtype.kind not in "biuf":
        cell = next((cell for cell in column if isinstance(cell, str)), None)
        why = f"its type is {column.dtype}" if cell is None else f"one cell is {cell!r}"
        msg = (
            f"column {name!r} of DATA is not numeric ({why}); this model takes only numbers: leave "
            "the column out with --columns, encode it, or give a pipeline of scikit-learn"
        )
        raise InvalidDataError(msg)
    return column.to_numpy(np.float64, na_value=np.nan)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(str, names[:SHOWN])) + more
