"""What a run is made from, in a form that another process can be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gexcore.backend.optimizer import Optimizer


class Factory:
    """A model or data that is made where it is needed, by calling a function, instead of being sent
    there.

    For `model`, `data`, `train_data` and `test` of a fit: what cannot be pickled, what a worker
    should load from its own disk, or place on its own device.

    Parameters
    ----------
    function : callable
        Defined in a module, or otherwise picklable.
    *args : Any
        Picklable.

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
        """What the function returns."""
        return self.function(*self.args)


def made(value: Any) -> Any:
    """The value, or what its factory returns."""
    return value() if isinstance(value, Factory) else value


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The arguments of `gexcore.evaluation.opening.open_inputs`, and the names of the parameters
    that are trained."""

    model: Any
    data: Any
    train_data: Any = None
    test: Any = None
    loss: str | Callable[..., Any] | None = None
    backend: str | None = None
    optimizer: Optimizer | None = None
    parameters: tuple[str, ...] | None = None

    def chosen(self) -> dict[str, Any]:
        """The weight decay that was settled; a factory has its own."""
        optimizer = self.optimizer
        return (
            {}
            if optimizer is None or callable(optimizer.name)
            else {"weight_decay": optimizer.weight_decay}
        )
