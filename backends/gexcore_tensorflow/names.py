"""Losses as users of Keras name them."""

from __future__ import annotations

from typing import Any

import keras

NAMES = {
    "sparse_categorical_crossentropy": "cross_entropy",
    "categorical_crossentropy": "cross_entropy",
    "binary_crossentropy": "binary_cross_entropy",
    "mean_squared_error": "squared_error",
    "mse": "squared_error",
    "SparseCategoricalCrossentropy": "cross_entropy",
    "CategoricalCrossentropy": "cross_entropy",
    "BinaryCrossentropy": "binary_cross_entropy",
    "MeanSquaredError": "squared_error",
}
"""gexcore's names of Keras' losses."""

OURS = frozenset(NAMES.values())


def known_loss(loss: Any, model: Any) -> Any:
    """The loss by gexcore's name or as a callable; that of ``compile`` where none is given.

    Losses of Keras with a reduction are called without it. What is no loss of Keras is
    returned as it is.

    Parameters
    ----------
    loss : str, callable or None
    model : keras.Model or other
    """
    if loss is None and getattr(model, "compiled", False):
        loss = getattr(model, "loss", None)
        loss = None if isinstance(loss, dict | list | tuple) else loss
    if isinstance(loss, str):
        if loss in OURS or loss in NAMES:
            return NAMES.get(loss, loss)
        try:
            return known_loss(keras.losses.get(loss), None)
        except ValueError:
            return loss
    if isinstance(loss, keras.losses.Loss):
        settings = loss.get_config()
        plain = not settings.get("label_smoothing") and not settings.get("ignore_class")
        if plain and type(loss).__name__ in NAMES and type(loss).__module__.startswith("keras."):
            return NAMES[type(loss).__name__]
        if loss.reduction in (None, "none"):
            return loss
        return _unreduced(loss)
    if getattr(loss, "__module__", "").startswith("keras."):
        return NAMES.get(getattr(loss, "__name__", ""), loss)
    return loss


def _unreduced(loss: keras.losses.Loss) -> Any:
    # not a copy made from get_config, where some settings (Huber's delta) are missing
    def single(y_true: Any, y_pred: Any) -> Any:
        dtype = loss.dtype
        return loss.call(*(keras.ops.convert_to_tensor(a, dtype=dtype) for a in (y_true, y_pred)))

    return single
