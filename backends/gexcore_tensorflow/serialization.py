"""Serialisation: states as named arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from gexcore_tensorflow.network import Tensors
from gexcore_tensorflow.optimizers import Memory
from gexcore_tensorflow.state import TensorFlowState


def to_arrays(state: TensorFlowState, initial: TensorFlowState) -> dict[str, NDArray[Any]]:
    """Tensors by kind and number, without tensors that θ* shares (a frozen base may be large)."""
    kinds = zip(("params", "buffers", "memory"), _kinds(state), _kinds(initial), strict=True)
    arrays = {
        f"{kind}/{i}": _array(tensor)
        for kind, tensors, own in kinds
        for i, (tensor, start) in enumerate(zip(tensors, own, strict=True))
        if tensor is not start
    }
    return arrays | {"steps": np.array(state.memory.steps)}


def from_arrays(arrays: Mapping[str, NDArray[Any]], initial: TensorFlowState) -> TensorFlowState:
    """The state, with the types of `initial`."""
    params, buffers, slots = (
        tuple(_tensor(arrays.get(f"{kind}/{i}"), like) for i, like in enumerate(own))
        for kind, own in zip(("params", "buffers", "memory"), _kinds(initial), strict=True)
    )
    return TensorFlowState(params, buffers, Memory(int(arrays["steps"]), slots))


def _kinds(state: TensorFlowState) -> tuple[Tensors, Tensors, Tensors]:
    return state.params, state.buffers, state.memory.slots


def _array(tensor: Any) -> NDArray[Any]:
    array = np.array(tensor.numpy())
    # NumPy files have no bfloat16
    return array if array.dtype.kind in "biuf" else array.view(f"u{array.dtype.itemsize}")


def _tensor(array: NDArray[Any] | None, like: Any) -> Any:
    if array is None:
        return like
    dtype = like.dtype.as_numpy_dtype
    # a copy, because TensorFlow may share its memory
    return tf.constant(np.array(array if array.dtype == dtype else array.view(dtype)))
