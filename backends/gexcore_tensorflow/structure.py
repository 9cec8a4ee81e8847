"""What a Keras model is besides its weights, without the names that Keras counts up."""

from __future__ import annotations

import json
import re
from typing import Any

import keras

FITTING = ("optimizer", "compile_config", "build_config")
"""What a configuration holds of trainings and of shapes."""

PLAIN = (str, bool, int, float, tuple)


def structure(model: Any) -> Any:
    """Types and settings of the layers, and how they are connected; a ``tf.Module`` as it is."""
    if not isinstance(model, keras.layers.Layer):
        return model
    layers = list(model._flatten_layers(include_self=True, recursive=True))
    told = json.dumps([_config(layer) for layer in layers], default=repr)
    for number, layer in enumerate(layers):  # "dense_3" is another name in another process
        told = told.replace(json.dumps(layer.name), json.dumps(f"layer {number}"))
    told = re.sub(r"keras_tensor(_\d+)?", "keras_tensor", told)
    constants = [
        {
            name: value
            for name, value in vars(layer).items()
            if not name.startswith("_") and name != "name" and isinstance(value, PLAIN)
        }
        for layer in layers
        if not type(layer).__module__.startswith("keras.")
    ]
    return told, [type(layer) for layer in layers], constants


def _config(layer: Any) -> Any:
    try:
        config = layer.get_config()
    except (NotImplementedError, TypeError, ValueError):  # a layer of the user's has none
        return layer.name
    return {name: value for name, value in config.items() if name not in FITTING}
