"""Trainable parameters as one vector, in the order of ``trainable_variables``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from gexcore.backend.data import to_numpy
from gexcore.backend.refusals import check_vector


def ravel(params: Sequence[tf.Tensor]) -> NDArray[Any]:
    """One vector of all parameters, shape (p,)."""
    return np.concatenate([p.numpy().reshape(-1) for p in params])


def size(param: tf.Tensor) -> int:
    """Number of entries of the parameter."""
    return int(np.prod(param.shape))


def split(flat: Any, params: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
    """A vector of any library, shape (p,), as tensors with the shapes and dtypes of parameters.

    Raises
    ------
    InvalidDataError
        If the shape differs.
    """
    vector = to_numpy(flat)
    sizes = [size(p) for p in params]
    check_vector(vector.shape, sum(sizes))
    pieces = np.split(vector, np.cumsum(sizes)[:-1])
    # a copy, because TensorFlow may share the memory of an array
    return tuple(
        tf.constant(piece.reshape(p.shape).astype(p.dtype.as_numpy_dtype))
        for piece, p in zip(pieces, params, strict=True)
    )
