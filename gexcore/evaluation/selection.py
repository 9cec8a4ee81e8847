"""Parameters chosen by name, by pattern, or as the last layer."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from typing import Any

from gexcore.backend.capabilities import require
from gexcore.backend.protocols import Backend, SupportsSelection
from gexcore.errors import InvalidSettingError

Parameters = str | Sequence[str] | None
"""Names of `SupportsSelection.parameter_names`, or patterns with ``*`` and ``?``; None for all."""
LEAF = re.compile(r"(weight|kernel|bias|\bw|\bb)(?=\W|_|\d|$)")


def resolve(backend: Backend[Any, Any], parameters: str | Sequence[str], *, by: str) -> list[str]:
    """The names that fit the patterns, in the order of the flat vector.

    Raises
    ------
    InvalidSettingError
        If a pattern is no text, or fits no trainable parameter.
    MissingCapabilityError
        If the backend's parameters have no names.
    """
    able = require(backend, SupportsSelection, by=f"{by} with parameters=")
    names = list(able.parameter_names())
    patterns = _patterns(parameters)
    # a name may itself look like a pattern
    fits = {p: [name for name in names if name == p or fnmatchcase(name, p)] for p in patterns}
    lost = [pattern for pattern, found in fits.items() if not found]
    if lost or not patterns:
        told = f"parameters={lost[0]!r} fits" if lost else "an empty parameters= names"
        shown = ", ".join(map(repr, names[:12])) + (", …" if len(names) > 12 else "")
        raise InvalidSettingError(
            f"{told} no trainable parameter; choose names or patterns among {shown}"
        )
    chosen = {name for found in fits.values() for name in found}
    return [name for name in names if name in chosen]


def _patterns(parameters: Any) -> list[str]:
    if isinstance(parameters, str):
        return [parameters]
    # an array without dimensions has no items
    several = isinstance(parameters, Collection) and getattr(parameters, "shape", True) != ()
    if not several or not all(isinstance(item, str) for item in parameters):
        raise InvalidSettingError(
            f"parameters is {parameters!r}; allowed are a name, a pattern such as 'head.*', and a "
            "list of them"
        )
    return list(parameters)


def last_layer(backend: Backend[Any, Any]) -> list[str]:
    """Names of the weight and the bias of the layer that is last in the flat vector.

    This layer is the classifier in most models. If it is not, name the parameters.

    Raises
    ------
    MissingCapabilityError
        If the backend's parameters have no names.
    """
    names = list(require(backend, SupportsSelection, by="the last layer").parameter_names())
    return [name for name in names if _layer_of(name) == _layer_of(names[-1])]


def _layer_of(name: str) -> str:
    leaves = list(LEAF.finditer(name))
    if leaves:  # the last word tells weight from bias: layer1.bias, bias1, ['Dense_1']['kernel']
        return name[: leaves[-1].start()] + name[leaves[-1].end() :]
    return re.sub(r"[./\[][^./\[]*$", "", name)
