"""Errors of gexcore. Each one is also a built-in error.

A message is one sentence. It says what is wrong, what is allowed, and what to do.
"""

from __future__ import annotations


class GexError(Exception):
    """Base of every error that gexcore raises on purpose."""


class InvalidDataError(GexError, ValueError):
    """The data cannot be scored."""


class InvalidModelError(GexError, TypeError):
    """The model, its loss or its optimiser cannot be used."""


class InvalidSettingError(GexError, ValueError):
    """A setting is outside what is allowed."""


class MissingCapabilityError(GexError, TypeError):
    """A method needs something that the backend cannot do."""


class AllMembersDivergedError(GexError, ArithmeticError):
    """No member of the ensemble has finite losses."""


class StoreError(GexError, OSError):
    """A store cannot be written or read, is damaged, or is in use."""


class InUseError(StoreError):
    """Another process writes to the store or to the folder."""


class StoreMismatchError(GexError, ValueError):
    """A store holds another run, other files, or a newer format."""


class WorkerLostError(GexError, RuntimeError):
    """A worker of an executor died."""


class UnknownBackendError(GexError, LookupError):
    """No backend has that name or takes that model."""


class BackendLoadError(GexError, ImportError):
    """A backend is known but cannot be imported."""


class BackendConflictError(GexError, ValueError):
    """Two distributions claim one backend name."""


class OutputExistsError(GexError, FileExistsError):
    """The output folder holds something this run must not overwrite."""


class MissingExtraError(GexError, ImportError):
    """An optional dependency is not installed."""


class GexWarning(UserWarning):
    """A part of the data or of the model is read in another way than it was given."""
