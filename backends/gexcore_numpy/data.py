"""Batches in the form of the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gexcore.backend.data import to_numpy
from gexcore.backend.rules import Reals
from gexcore.errors import InvalidDataError


class Call(NamedTuple):
    """Inputs of shape (b, width), and unchanged targets."""

    inputs: Reals
    target: NDArray[Any]


@dataclass(frozen=True)
class Placement:
    """Width and type of the model, to which batches are brought.

    Parameters
    ----------
    width : int
        Numbers per sample in the model's inputs.
    dtype : float32 or float64
        Type of the model.
    """

    width: int
    dtype: DTypeLike

    def call(self, batch: Any) -> Call:
        """Split a batch into inputs and target.

        Parameters
        ----------
        batch : (x, y)
            Batch with x of shape (b, ...). Samples are flattened.

        Raises
        ------
        InvalidDataError
            If the batch has another form, or samples have another width.
        """
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            pair = isinstance(batch, tuple | list)
            told = f"{len(batch)} columns" if pair else type(batch).__name__
            msg = (
                f"a batch for the NumPy backend is (x, y), but this one is {told}; give the data "
                "as (x, y) arrays"
            )
            raise InvalidDataError(msg)
        x, y = to_numpy(batch[0]), to_numpy(batch[1])
        inputs = x.reshape(len(x), -1) if x.ndim else x
        if inputs.ndim != 2 or inputs.shape[1] != self.width:
            msg = (
                f"the inputs of a batch have shape {x.shape}, but the model takes {self.width} "
                "numbers per sample"
            )
            raise InvalidDataError(msg)
        return Call(inputs.astype(self.dtype, copy=False), np.asarray(y))
