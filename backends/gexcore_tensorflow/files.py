"""Keras models in files."""

from __future__ import annotations

from pathlib import Path

from gexcore.backend import StoredModel
from gexcore.errors import InvalidModelError


def read_keras(path: Path, *, trust: bool) -> StoredModel:
    """The model that ``model.save("….keras")`` wrote.

    Raises
    ------
    InvalidModelError
        If the file cannot be read, or needs trust.
    """
    import keras

    try:
        return StoredModel(keras.saving.load_model(path, compile=False, safe_mode=not trust))
    except Exception as error:  # layers of the user may raise anything
        told = f"{type(error).__name__}: {error}".splitlines()[0]
        hint = "" if trust else ", or add --trust if it holds code that you trust"
        raise InvalidModelError(
            f"{path} cannot be read as a Keras model ({told}); save it anew{hint}"
        ) from error
