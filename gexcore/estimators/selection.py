"""Derivatives by chosen parameters only: by name, by pattern, or those of the last layer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from gexcore.capabilities import require
from gexcore.errors import InvalidSettingError
from gexcore.intake import Inputs
from gexcore.protocols import Backend, SupportsSelection
from gexcore.recipe import made

Parameters = str | Sequence[str] | None
"""Names of parameters, or patterns with ``*`` and ``?``, as `SupportsSelection.parameter_names` has them; None for all."""

LEAF = re.compile(r"(weight|kernel|bias|\bw|\bb)(?=\W|_|\d|$)")


def resolve(backend: Backend[Any, Any], parameters: str | Sequence[str], *, by: str) -> list[str]:
    """The names that the patterns stand for, in the order of the flat vector.

    Raises
    ------
    InvalidSettingError
        For a pattern that fits no trainable parameter.
    MissingCapabilityError
        Where the backend's parameters have no names.
    """
    require(backend, SupportsSelection, by=f"{by} with parameters=")
    names = list(backend.parameter_names())  # type: ignore[attr-defined]
    patterns = [parameters] if isinstance(parameters, str) else list(parameters)
    # a name may itself look like a pattern
    fits = {p: [name for name in names if name == p or fnmatchcase(name, p)] for p in patterns}
    lost = [pattern for pattern, found in fits.items() if not found]
    if lost or not patterns:
        told = f"parameters={lost[0]!r} fits" if lost else "an empty parameters= names"
        shown = ", ".join(map(repr, names[:12])) + (", …" if len(names) > 12 else "")
        raise InvalidSettingError(f"{told} no trainable parameter; choose names or patterns among {shown}")
    chosen = {name for found in fits.values() for name in found}
    return [name for name in names if name in chosen]


def selected(inputs: Inputs, parameters: Parameters, *, by: str) -> Inputs:
    """The same inputs, with a backend where only these parameters are trainable; unchanged for None.

    Raises
    ------
    InvalidSettingError, MissingCapabilityError
        As for `resolve`.
    """
    if parameters is None:
        return inputs
    names = resolve(inputs.backend, parameters, by=by)
    recipe = inputs.recipe and replace(inputs.recipe, parameters=tuple(names))
    return inputs._replace(backend=inputs.backend.select(names), recipe=recipe)  # type: ignore[attr-defined]


def last_layer(backend: Backend[Any, Any]) -> list[str]:
    """Names of the weight, and of the bias, of the layer that stands last in the flat vector.

    That is the classifier in most models; where it is not, name the parameters.

    Raises
    ------
    MissingCapabilityError
        Where the backend's parameters have no names.
    """
    require(backend, SupportsSelection, by="the last layer")
    names = list(backend.parameter_names())  # type: ignore[attr-defined]
    return [name for name in names if _layer_of(name) == _layer_of(names[-1])]


def _layer_of(name: str) -> str:
    leaves = list(LEAF.finditer(name))
    if leaves:  # the last word that tells weight from bias: layer1.bias, bias1, ['Dense_1']['kernel']
        return name[: leaves[-1].start()] + name[leaves[-1].end() :]
    return re.sub(r"[./\[][^./\[]*$", "", name)


@dataclass(frozen=True)
class LastLayer:
    """Any method that steps or takes derivatives, in the last layer only: a large model becomes a small one.

    Parameters
    ----------
    method : estimator
        With a setting ``parameters``, which is set.

    Examples
    --------
    >>> import numpy as np
    >>> import gexcore as gx
    >>> from gexcore_numpy import MLP
    >>> x = np.random.default_rng(0).normal(size=(30, 2))
    >>> model = MLP.init((2, 50, 2), seed=0)
    >>> found = gx.LastLayer(gx.IF(damping=0.1)).fit(model, (x, (x[:, 0] > 0).astype(int)), progress=False)
    >>> found.run.chosen["parameters"]
    102
    """

    method: Any

    def __post_init__(self) -> None:
        if "parameters" not in getattr(self.method, "__dataclass_fields__", {}):
            name = type(self.method).__name__
            msg = (
                f"LastLayer takes a method with the setting parameters, and {name} has none; wrap one such as IF or GEX"
            )
            raise InvalidSettingError(msg)

    @property
    def needs(self) -> tuple[type, ...]:
        """Capabilities it asks of the backend before any work."""
        return (SupportsSelection, *self.method.needs)

    def fit(
        self,
        model: Any,
        data: Any,
        *,
        loss: str | Callable[..., Any] | None = None,
        test: Any = None,
        backend: str | None = None,
        progress: bool = True,
        **more: Any,
    ) -> Any:
        """What the method's own `fit` gives; see there, also for what else it takes."""
        # what finds plugins takes longer to import than all the rest of gexcore
        from gexcore.registry import default_registry

        names = last_layer(default_registry().create(made(model), backend=backend, loss=loss))
        chosen = replace(self.method, parameters=tuple(names))
        return chosen.fit(model, data, loss=loss, test=test, backend=backend, progress=progress, **more)
