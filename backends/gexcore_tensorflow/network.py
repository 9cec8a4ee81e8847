"""Models as pure functions of their parameters."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, Self

import keras
import tensorflow as tf

from gexcore.errors import InvalidModelError

Tensors = tuple[tf.Tensor, ...]


class Pass(NamedTuple):
    """The result of one pass through a model.

    Parameters
    ----------
    output : Any
    changed : dict
        New values of changed buffers, by position.
    """

    output: Any
    changed: dict[int, tf.Tensor]


class Network(Protocol):
    """A model that gets its values with every call. Its methods are traced.

    Attributes
    ----------
    params, buffers : tuple of tensors
        Values of θ*: trained ones, and all others that passes read, with frozen weights.
    trainable, stored : list
        Variables of the model for these values.
    names : list of str
        Unique names of the parameters.
    weights : sequence
        All variables, in the order of a checkpoint.
    variables : sequence of tf.Variable
        Variables that passes write to, one pass at a time. Most models have none.
    """

    params: Tensors
    buffers: Tensors
    trainable: list[Any]
    stored: list[Any]
    names: list[str]
    weights: Sequence[Any]
    variables: Sequence[Any]

    def twin(self) -> Self:
        """A copy with the same values, whose attributes may be set."""
        ...

    def bind(self, params: Sequence[tf.Tensor]) -> Sequence[Any]:
        """Tensors or variables for these parameters, by which a pass is differentiated."""
        ...

    def __call__(
        self,
        bound: Sequence[Any],
        buffers: Sequence[tf.Tensor],
        inputs: Any,
        *,
        training: bool,
        seed: Any = 0,
    ) -> Pass:
        """The model's output for `inputs`, in the given mode."""
        ...


def check_trainable(variables: Sequence[Any], model: object) -> None:
    """Refuse a model without trainable variables.

    Raises
    ------
    InvalidModelError
    """
    if not variables:
        msg = (
            f"{type(model).__name__} has no trainable variables; set trainable=True on the "
            "layers that the members may change"
        )
        raise InvalidModelError(msg)


def values_of(variables: Sequence[Any]) -> Tensors:
    """The present values of Keras or TensorFlow variables."""
    return tuple(tf.identity(v.value if isinstance(v, keras.Variable) else v) for v in variables)


def unique(names: Iterable[str]) -> list[str]:
    """The names, with a number for each repeated name."""
    known: list[str] = []
    for name in names:
        numbered = (f"{name}_{number}" for number in itertools.count(2))
        known.append(name if name not in known else next(n for n in numbered if n not in known))
    return known
