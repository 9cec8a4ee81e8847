"""Parameters chosen by name, and values from checkpoints."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import keras
import tensorflow as tf

from gexcore.backend.data import to_numpy
from gexcore.backend.refusals import check_names
from gexcore.errors import InvalidModelError
from gexcore_tensorflow.network import Network, Tensors


def only(network: Network, names: Collection[str]) -> Network:
    """The same model with only these parameters trained. `network` never changes.

    Raises
    ------
    InvalidSettingError
        If there are no names, or a name is no trainable parameter.
    """
    check_names(names, network.names)
    chosen = network.twin()
    parts = list(zip(chosen.names, chosen.trainable, chosen.params, strict=True))
    kept, fixed = (
        [part for part in parts if (part[0] in names) is trained] for trained in (True, False)
    )
    chosen.names, chosen.trainable = (
        [name for name, _, _ in kept],
        [variable for _, variable, _ in kept],
    )
    chosen.params = tuple(value for _, _, value in kept)
    chosen.stored = [*chosen.stored, *(variable for _, variable, _ in fixed)]
    chosen.buffers = (*chosen.buffers, *(value for _, _, value in fixed))
    return chosen


def loaded(network: Network, checkpoint: Any) -> tuple[Tensors, Tensors]:
    """Parameters and buffers of a checkpoint, for any choice of trained parameters.

    Parameters
    ----------
    network : Network
    checkpoint : keras.Model, tf.Module or sequence of arrays
        Model of the same architecture, or its weights in the order of ``get_weights()``. Weights of
        a ``tf.Module`` are in the order of its ``variables``.

    Raises
    ------
    InvalidModelError
        If the checkpoint is of another kind, or the number of arrays or a shape differs.
    """
    held = zip(
        [*network.trainable, *network.stored], [*network.params, *network.buffers], strict=True
    )
    ours = {id(variable): value for variable, value in held}
    given = _arrays(checkpoint)
    if len(given) != len(network.weights):
        raise _misfit(f"it has {len(given)} arrays for {len(network.weights)} weights")
    theirs = {}
    for variable, value in zip(network.weights, given, strict=True):
        like, label = ours[id(variable)], getattr(variable, "path", variable.name)
        try:
            array = to_numpy(value).astype(
                like.dtype.as_numpy_dtype
            )  # a copy, because TensorFlow may share its memory
        except (TypeError, ValueError) as error:
            raise _misfit(f"what it has for {label} is no array of numbers") from error
        if array.shape != tuple(like.shape):
            raise _misfit(f"{label} has shape {tuple(like.shape)}, and {array.shape} in it")
        theirs[id(variable)] = tf.constant(array)
    return tuple(theirs[id(v)] for v in network.trainable), tuple(
        theirs[id(v)] for v in network.stored
    )


def _arrays(checkpoint: Any) -> list[Any]:
    if isinstance(checkpoint, keras.layers.Layer):
        return list(checkpoint.get_weights())
    if isinstance(checkpoint, tf.Module):
        return list(checkpoint.variables)
    if isinstance(checkpoint, list | tuple):
        return list(checkpoint)
    msg = (
        f"a checkpoint of type {type(checkpoint).__name__} was given; files are not read here: "
        "give the model that keras.models.load_model(path) returns, or the list of its "
        "get_weights()"
    )
    raise InvalidModelError(msg)


def _misfit(reason: str) -> InvalidModelError:
    msg = (
        f"the checkpoint does not fit the model ({reason}); give the weights of a model of the "
        "same architecture"
    )
    return InvalidModelError(msg)
