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
    trainable, stored : list
        The model's variables that they are of.
    names : list of str
        Of the parameters; no two are equal.
    weights : sequence
        All variables of both, in the order of a checkpoint.
    variables : sequence of tf.Variable
        What passes write into, one pass at a time; for most models nothing.
    """

    params: Tensors
    buffers: Tensors
    trainable: list[Any]
    stored: list[Any]
    names: list[str]
    weights: Sequence[Any]
    variables: Sequence[Any]

    def twin(self) -> Self:
        """Another of the same values, whose attributes may be set."""
        ...

    def bind(self, params: Sequence[tf.Tensor]) -> Sequence[Any]:
        """What stands for these parameters in a pass: tensors or variables, to be differentiated
        by."""
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
        """The model's output for `inputs`, in the mode asked for."""
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
    """The values that Keras or TensorFlow variables have now."""
    return tuple(tf.identity(v.value if isinstance(v, keras.Variable) else v) for v in variables)


def unique(names: Iterable[str]) -> list[str]:
    """The names; where one was there before, with a number."""
    known: list[str] = []
    for name in names:
        numbered = (f"{name}_{number}" for number in itertools.count(2))
        known.append(name if name not in known else next(n for n in numbered if n not in known))
    return known
