"""Keras models and plain modules, as pure functions."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any, Self

import keras
import tensorflow as tf

from gexcore.errors import InvalidModelError
from gexcore_tensorflow.network import Network, Pass, check_trainable, unique, values_of

MODES = ("training", "is_training")
"""Names of a module's argument for training mode."""


def network_of(model: Any) -> Network:
    """The model as a pure function.

    Parameters
    ----------
    model : keras.Model, keras.layers.Layer or tf.Module
        Model, or the result of this function.

    Raises
    ------
    InvalidModelError
        If the model is of another kind, or cannot be used.
    """
    if isinstance(model, KerasNetwork | ModuleNetwork):
        return model
    if isinstance(model, keras.layers.Layer):
        return KerasNetwork(model)
    if isinstance(model, tf.Module) and callable(model):
        return ModuleNetwork(model)
    msg = (
        "the tensorflow backend takes a keras.Model or a tf.Module with __call__, not "
        f"{type(model).__name__}; give the trained model itself"
    )
    raise InvalidModelError(msg)


class KerasNetwork:
    """A Keras layer or model on TensorFlow. Its variables are read once and never written.

    Parameters
    ----------
    model : keras.layers.Layer
        Layer or model: every model is a layer.

    Raises
    ------
    InvalidModelError
        If the model is on another framework, has no weights yet, or has nothing to train.
    """

    variables: Sequence[Any] = ()

    def __init__(self, model: Any) -> None:
        if keras.config.backend() != "tensorflow":
            msg = (
                f"Keras runs on {keras.config.backend()} here, and gexcore takes Keras models on "
                "TensorFlow; save the model, and load it in a Python that was started with "
                "KERAS_BACKEND=tensorflow"
            )
            raise InvalidModelError(msg)
        if not model.built:
            msg = f"{type(model).__name__} has no weights yet; call the model on one batch first"
            raise InvalidModelError(msg)
        self.model = model
        self.trainable = list(model.trainable_variables)
        check_trainable(self.trainable, model)
        # other variables of a model are states of random generators
        weights = {id(v) for v in model.weights}
        others = {id(v): v for v in model.non_trainable_variables}
        self.stored = [v for key, v in others.items() if key in weights]
        self._generators = [v for key, v in others.items() if key not in weights]
        self.names = unique(v.path for v in self.trainable)
        self.weights: Sequence[Any] = model.weights
        self.params = values_of(self.trainable)
        self.buffers = values_of(self.stored)

    def twin(self) -> Self:
        """The same model."""
        return copy.copy(self)

    def bind(self, params: Sequence[tf.Tensor]) -> Sequence[Any]:
        """The given tensors."""
        return params

    def __call__(
        self,
        bound: Sequence[Any],
        buffers: Sequence[tf.Tensor],
        inputs: Any,
        *,
        training: bool,
        seed: Any = 0,
    ) -> Pass:
        """A pass with these values in place of the model's values.

        Raises
        ------
        InvalidModelError
            If the model changes variables of others.
        """
        # the second number of a generator counts its draws
        starts = [
            tf.stack([tf.cast(seed, tf.int64), number << 32])
            for number in range(len(self._generators))
        ]
        owned = [*self.trainable, *self.stored, *self._generators]
        with keras.StatelessScope(
            list(zip(owned, [*bound, *buffers, *starts], strict=True))
        ) as scope:
            before = [scope.get_current_value(v) for v in self.stored]
            output = self.model(inputs, training=training)
        if len(scope.state_mapping) > len(owned):
            msg = (
                f"{type(self.model).__name__} changes variables that are not its own, such as "
                "Keras' global random generator; make them attributes of a layer, and give "
                "keras.random functions a SeedGenerator"
            )
            raise InvalidModelError(msg)
        after = map(scope.get_current_value, self.stored)
        pairs = enumerate(zip(before, after, strict=True))
        return Pass(output, {number: new for number, (old, new) in pairs if new is not old})


class ModuleNetwork:
    """A private copy of a ``tf.Module``, whose variables are set before each pass.

    Parameters
    ----------
    module : tf.Module
        Module, called with the inputs, and with one of `MODES` if it has such an argument.

    Raises
    ------
    InvalidModelError
        If the module cannot be copied or has nothing to train.
    """

    def __init__(self, module: Any) -> None:
        try:
            self._module = copy.deepcopy(module)
        except Exception as error:
            msg = (
                f"{type(module).__name__} cannot be copied with copy.deepcopy ({error}); define "
                "__deepcopy__, or use Keras"
            )
            raise InvalidModelError(msg) from error
        self.trainable = list(self._module.trainable_variables)
        self.stored = list(self._module.non_trainable_variables)
        self.variables: Sequence[Any] = [*self.trainable, *self.stored]
        check_trainable(self.trainable, module)
        found = self._module._flatten(
            predicate=lambda leaf: isinstance(leaf, tf.Variable), with_path=True
        )
        paths = {id(v): "/".join(map(str, path)) for path, v in reversed(list(found))}
        self.names = unique(paths.get(id(v), v.name) for v in self.trainable)
        self.weights: Sequence[Any] = self._module.variables
        self.params = values_of(self.trainable)
        self.buffers = values_of(self.stored)
        parameters = inspect.signature(self._module.__call__).parameters
        self._mode = next((name for name in MODES if name in parameters), None)

    def twin(self) -> Self:
        """Another network with its own module, because passes write to the module."""
        return copy.deepcopy(self, {id(value): value for value in (*self.params, *self.buffers)})

    def bind(self, params: Sequence[tf.Tensor]) -> Sequence[Any]:
        """The copy's variables, set to these values."""
        _assign(self.trainable, params)
        return self.trainable

    def __call__(
        self,
        bound: Sequence[Any],
        buffers: Sequence[tf.Tensor],
        inputs: Any,
        *,
        training: bool,
        seed: Any = 0,
    ) -> Pass:
        """A pass through the copy, which must not be random."""
        _assign(self.stored, buffers)
        output = self._module(inputs, **({self._mode: training} if self._mode else {}))
        return Pass(output, dict(enumerate(values_of(self.stored))))


def inputs_of(network: Network) -> int | None:
    """Number of inputs that a Keras model was built with; None where it is not known."""
    found: Any = getattr(getattr(network, "model", None), "get_build_config", dict)() or {}
    shapes = list(found.get("shapes_dict", found).values())
    if len(shapes) != 1:
        return len(shapes) or None
    if not isinstance(shapes[0], list | tuple):
        return None
    several = all(isinstance(shape, list | tuple) for shape in shapes[0])
    return len(shapes[0]) if several else 1


def _assign(variables: Sequence[Any], values: Sequence[tf.Tensor]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
