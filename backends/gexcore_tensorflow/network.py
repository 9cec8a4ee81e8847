"""Models as pure functions of their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import keras
import tensorflow as tf

from gexcore.errors import InvalidModelError

Tensors = tuple[tf.Tensor, ...]


class Pass(NamedTuple):
    """What one pass through a model leaves.

    Parameters
    ----------
    output : Any
    changed : dict
        New values of the buffers that the pass has changed, by position.
    """

    output: Any
    changed: dict[int, tf.Tensor]


class Network(Protocol):
    """A model whose values are given with every call; all methods but the attributes are traced.

    Attributes
    ----------
    params, buffers : tuple of tensors
        θ*: what is trained, and all else that passes read, frozen weights included.
    variables : sequence of tf.Variable
        What passes write into, one pass at a time; for most models nothing.
    """

    params: Tensors
    buffers: Tensors
    variables: Sequence[Any]

    def bind(self, params: Sequence[tf.Tensor]) -> Sequence[Any]:
        """What stands for these parameters in a pass: tensors or variables, to be differentiated by."""
        ...

    def __call__(
        self, bound: Sequence[Any], buffers: Sequence[tf.Tensor], inputs: Any, *, training: bool, seed: Any = 0
    ) -> Pass:
        """The model's output for `inputs`, in the mode asked for."""
        ...


def check_trainable(variables: Sequence[Any], model: object) -> None:
    """Refuse a model without trainable variables.

    Raises
    ------
    InvalidModelError
    """
    if not variables:
        msg = f"{type(model).__name__} has no trainable variables; set trainable=True on the layers that the members may change"
        raise InvalidModelError(msg)


def values_of(variables: Sequence[Any]) -> Tensors:
    """The values that Keras or TensorFlow variables have now."""
    return tuple(tf.identity(v.value if isinstance(v, keras.Variable) else v) for v in variables)
