"""Batches in the form of an estimator, and datasets of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch, _safe_indexing, check_array

from gexcore.backend.capabilities import supports
from gexcore.backend.protocols import Dataset, Indices, SupportsAugmentation
from gexcore.errors import InvalidDataError

SHOWN = 10
"""Classes that an error message lists."""


class Batch(NamedTuple):
    """Samples ready for the last step of a pipeline.

    Parameters
    ----------
    x : (b, d)
        Inputs after the pipeline's transformers.
    y : (b,) or (b, k)
        Positions of the labels in ``classes_``, 0 … K − 1, or targets of a regression.
    """

    x: Any
    y: NDArray[Any]


@dataclass(frozen=True)
class Reader:
    """A function from the user's (x, y) to a `Batch`.

    Parameters
    ----------
    transformers : tuple of fitted transformers
    classes : array, shape (K,), or None
        Classes of a classifier, in the order of its outputs. None for a regressor.
    dtype : float32, float64 or None
        Type of x. None keeps the type from the transformers.
    width : int or None
        Number of features of the estimator.
    names : array of str or None
        Names of the features, if the estimator was fitted on a data frame.
    """

    transformers: tuple[Any, ...]
    classes: NDArray[Any] | None
    dtype: np.dtype[Any] | None
    width: int | None
    names: NDArray[Any] | None

    def __call__(self, batch: Any) -> Batch:
        """Transform x and encode y, unless this has been done.

        Raises
        ------
        InvalidDataError
            If the batch is not (x, y), the estimator does not know inputs or labels, numbers are
            not finite, or lengths differ.
        """
        if isinstance(batch, Batch):
            return batch
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            told = (
                f"{len(batch)} columns" if isinstance(batch, tuple | list) else type(batch).__name__
            )
            msg = (
                f"a batch for scikit-learn is (x, y), but this one is {told}; give the data as "
                "(x, y)"
            )
            raise InvalidDataError(msg)
        x, y = self._inputs(batch[0]), self._targets(np.asarray(batch[1]))
        n = x.shape[0] if hasattr(x, "shape") else len(x)
        if n != len(y):
            msg = f"there are {n} inputs and {len(y)} targets; give one target for each input"
            raise InvalidDataError(msg)
        return Batch(x, y)

    def _inputs(self, x: Any) -> Any:
        try:
            x = self._in_order(x)
            if self.transformers and hasattr(x, "copy"):
                x = x.copy()  # some transformers write to their inputs
            for transformer in self.transformers:
                x = transformer.transform(x)
            if self.dtype is None:
                return x
            x = check_array(
                x, accept_sparse="csr", dtype=self.dtype, ensure_min_samples=0, input_name="x"
            )
        except ValueError as error:
            msg = (
                f"the inputs cannot be read ({str(error).splitlines()[0].rstrip('.')}); "
                "give finite numbers, or what the pipeline turns into them"
            )
            raise InvalidDataError(msg) from error
        if x.shape[1] != self.width:
            msg = (
                f"the inputs have {x.shape[1]} features, and the estimator was fitted with "
                f"{self.width}; give those"
            )
            raise InvalidDataError(msg)
        return x

    def _in_order(self, x: Any) -> Any:
        """A data frame with the columns of the fit, in the order of the fit."""
        if self.names is None or not hasattr(x, "columns"):
            return x
        names, wanted = list(x.columns), self.names.tolist()
        if names == wanted:
            return x
        missing = [name for name in wanted if name not in names]
        if missing or len(set(names)) < len(names):
            told = (
                f"column {missing[0]!r} is missing from the inputs"
                if missing
                else "two columns of the inputs have the same name"
            )
            msg = f"{told}; give the columns of the fit: {', '.join(map(str, wanted[:SHOWN]))}"
            raise InvalidDataError(msg)
        return x[wanted]

    def _targets(self, y: NDArray[Any]) -> NDArray[Any]:
        if self.classes is None:
            return _numbers(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = y[:, 0]
        if y.ndim != 1:
            msg = f"the labels have shape {y.shape}; give one label per sample, shape ({len(y)},)"
            raise InvalidDataError(msg)
        known = {label: code for code, label in enumerate(self.classes.tolist())}
        codes = [known.get(label, -1) for label in y.tolist()]
        if -1 in codes:
            shown = ", ".join(map(str, list(known)[:SHOWN])) + (", …" if len(known) > SHOWN else "")
            msg = (
                f"label {y.tolist()[codes.index(-1)]!r} is none of the {len(known)} classes that "
                f"the estimator was fitted with ({shown}); give the labels as they were given to "
                "fit"
            )
            raise InvalidDataError(msg)
        return np.array(codes, dtype=np.intp)


def _numbers(y: NDArray[Any]) -> NDArray[Any]:
    if y.dtype.kind not in "iuf" or y.ndim not in (1, 2):
        msg = (
            "the targets of a regression are numbers of shape (n,) or (n, k), but these are "
            f"{y.dtype} of shape {y.shape}"
        )
        raise InvalidDataError(msg)
    finite = np.isfinite(y.reshape(len(y), -1)).all(axis=1)
    if not finite.all():
        msg = (
            f"{int((~finite).sum())} targets are not finite, the first at position "
            f"{int(finite.argmin())}; leave those samples out"
        )
        raise InvalidDataError(msg)
    return y if y.dtype.kind == "f" else y.astype(np.float64)


class SklearnDataset:
    """Samples that are read all at once, so that transformers run once for all members."""

    def __init__(self, everything: Batch) -> None:
        self.everything = everything

    def __len__(self) -> int:
        return len(self.everything.y)

    def batch(self, indices: Indices, /) -> Batch:
        """The samples at these positions."""
        x, y = self.everything
        # general indexing costs a sixth of a step
        return Batch(
            x[indices] if isinstance(x, np.ndarray) else _safe_indexing(x, indices), y[indices]
        )


class ReadDataset:
    """The user's own dataset, whose batches are read one by one."""

    def __init__(self, rows: Any, read: Callable[[Any], Batch]) -> None:
        self.rows = rows
        self.read = read
        self.unsupported = () if supports(rows, SupportsAugmentation) else (SupportsAugmentation,)

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: Indices, /) -> Batch:
        """The samples at these positions."""
        return self.read(self.rows.batch(indices))

    def augmented(self, indices: Indices, /, *, seed: int) -> Batch:
        """The samples through the dataset's own augmentation."""
        return self.read(self.rows.augmented(indices, seed=seed))


def dataset_of(data: Any, read: Callable[[Any], Batch]) -> Dataset[Batch] | None:
    """The data as a dataset of batches for the estimator, else None.

    Parameters
    ----------
    data : (x, y), Bunch or Dataset
        Data. x may be an array, a sparse matrix, a data frame, or another input of the pipeline.
    read : Reader
    """
    if isinstance(data, Bunch) and "data" in data and "target" in data:
        data = (data.data, data.target)
    if isinstance(data, tuple | list):
        return SklearnDataset(read(data))
    # Hugging Face datasets have another method of that name
    if isinstance(data, Dataset) and type(data).__module__.partition(".")[0] != "datasets":
        return ReadDataset(data, read)
    return None
