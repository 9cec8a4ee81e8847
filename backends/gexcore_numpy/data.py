"""Batches in the form of the network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gexcore.backend.data import to_numpy
from gexcore.backend.rules import Reals
from gexcore.errors import InvalidDataError


def read(batch: Any, *, width: int, dtype: DTypeLike) -> tuple[Reals, NDArray[Any]]:
    """Inputs of shape (b, width) and unchanged targets.

    Parameters
    ----------
    batch : (x, y)
        Batch with x of shape (b, ...). Samples are flattened.
    width : int
        Numbers per sample in the model's inputs.
    dtype : float32 or float64
        Type of the model.

    Raises
    ------
    InvalidDataError
        If the batch has another form, or samples have another width.
    """
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        told = f"{len(batch)} columns" if isinstance(batch, tuple | list) else type(batch).__name__
        msg = (
            f"a batch for the NumPy backend is (x, y), but this one is {told}; give the data as "
            "(x, y) arrays"
        )
        raise InvalidDataError(msg)
    x, y = to_numpy(batch[0]), to_numpy(batch[1])
    inputs = x.reshape(len(x), -1) if x.ndim else x
    if inputs.ndim != 2 or inputs.shape[1] != width:
        msg = (
            f"the inputs of a batch have shape {x.shape}, but the model takes {width} numbers "
            "per sample"
        )
        raise InvalidDataError(msg)
    return inputs.astype(dtype, copy=False), np.asarray(y)
