"""What a Keras model is besides its weights, without the names that Keras counts up."""

from __future__ import annotations

import json
import re
from typing import Any

import keras

FITTING = ("optimizer", "compile_config", "build_config")
"""What a configuration holds of trainings and of shapes."""


def structure(model: Any) -> Any:
    """Types and settings of the layers, and how they are connected; a ``tf.Module`` as it is."""
    if not isinstance(model, keras.layers.Layer):
        return model
    layers = list(model._flatten_layers(include_self=True, recursive=True))
    told = json.dumps([_config(layer) for layer in layers], default=repr)
    for number, layer in enumerate(layers):  # "dense_3" is another name in another process
        told = told.replace(json.dumps(layer.name), json.dumps(f"layer {number}"))
    told = re.sub(r"keras_tensor(_\d+)?", "keras_tensor", told)
    own = [vars(layer) for layer in layers if not _is_keras(type(layer))]
    constants = [
        {name: value for name, value in each.items() if isinstance(value, str | float | int)}
        for each in own
    ]
    named = [
        {name: value for name, value in each.items() if name not in ("_name", "name", "_lock")}
        for each in constants
    ]
    return told, [type(layer) for layer in layers], named


def _config(layer: Any) -> Any:
    try:
        config = layer.get_config()
    except (NotImplementedError, TypeError, ValueError):  # a layer of the user's has none
        return layer.name
    return {name: value for name, value in config.items() if name not in FITTING}


def _is_keras(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "keras"
