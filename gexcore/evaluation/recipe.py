"""Recipes: how another process makes the model and data of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gexcore.backend.optimizer import Optimizer
from gexcore.errors import InvalidModelError


class Factory:
    """A function that makes a model or data in the process that needs it.

    It can stand for `model`, `data`, `train_data` and `test` of a fit. It serves for objects that
    cannot be pickled. A worker can also load from its own disk, or use its own device.

    Parameters
    ----------
    function : callable
        Function of a module, or any picklable callable.
    *args : Any
        Picklable arguments.

    Examples
    --------
    >>> import gexcore as gx
    >>> gx.Factory(dict, [("a", 1)])()
    {'a': 1}
    """

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.function = function
        self.args = args

    def __call__(self) -> Any:
        """The result of the function."""
        return self.function(*self.args)


def made(value: Any) -> Any:
    """The value, or the result of its factory."""
    return value() if isinstance(value, Factory) else value


def trained(train: Callable[..., Any], *args: Any, where: str, call: str, **settings: Any) -> Any:
    """The model that a user's training gives.

    Parameters
    ----------
    train : callable
    *args, **settings
        The arguments of the training.
    where, call : str
        Where the training is, and how it is called, for the message of an error.

    Raises
    ------
    InvalidModelError
        If the training fails.
    """
    try:
        return train(*args, **settings)
    except Exception as error:
        told = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InvalidModelError(f"train failed {where} ({told}); it is called as {call}") from error


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The arguments of `opened`, and the names of the trained parameters."""

    model: Any
    data: Any
    train_data: Any = None
    test: Any = None
    loss: str | Callable[..., Any] | None = None
    backend: str | None = None
    optimizer: Optimizer | None = None
    parameters: tuple[str, ...] | None = None
