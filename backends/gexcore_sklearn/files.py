"""Fitted estimators in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gexcore.backend import StoredModel
from gexcore.errors import InvalidModelError, MissingExtraError


def read_pickle(path: Path, *, trust: bool) -> StoredModel:
    """The estimator that ``joblib.dump`` or ``pickle.dump`` wrote.

    Raises
    ------
    InvalidModelError
        Without trust, or if the file cannot be read.
    """
    if not trust:
        msg = (
            f"{path} is a pickle, and a pickle runs any code that it holds when it is opened; if "
            "you trust where it comes from, add --trust"
        )
        raise InvalidModelError(msg)
    import joblib

    try:
        return StoredModel(joblib.load(path))
    except Exception as error:  # a pickle may raise anything
        raise _unreadable(path, error) from error


def read_skops(path: Path, *, trust: bool) -> StoredModel:
    """The estimator that ``skops.io.dump`` wrote.

    Raises
    ------
    InvalidModelError
        If the file cannot be read, or needs trust.
    MissingExtraError
        If skops is not installed.
    """
    try:
        import skops.io as stored
    except ImportError as error:
        raise MissingExtraError("a .skops file needs skops; try: pip install skops") from error
    try:
        unknown = stored.get_untrusted_types(file=path)
    except Exception as error:
        raise _unreadable(path, error) from error
    if unknown and not trust:
        msg = (
            f"{path} holds types that are not part of scikit-learn ({', '.join(unknown[:3])}); if "
            "you trust where it comes from, add --trust"
        )
        raise InvalidModelError(msg)
    model: Any = stored.load(path, trusted=unknown)
    return StoredModel(model)


def _unreadable(path: Path, error: Exception) -> InvalidModelError:
    told = f"{type(error).__name__}: {error}".splitlines()[0]
    return InvalidModelError(
        f"{path} cannot be read as a model ({told}); save it anew with the installed versions"
    )
