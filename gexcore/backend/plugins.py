"""Plugins: the description of a backend, and the hook that gives it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, NamedTuple

import pluggy

from gexcore.errors import BackendLoadError

PROJECT = "gexcore"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""The mark of a plugin's implementation of a gexcore hook."""


FOLDER = "/"
"""The suffix of a folder in `BackendSpec.files`."""


class StoredModel(NamedTuple):
    """A model that was read from a file.

    Parameters
    ----------
    model : native model
    inputs : callable, optional
        Function from texts or pictures to the model's named inputs, a dict of arrays.
    classes : tuple of str
        Names of the classes 0 … K − 1, where the file tells them.
    """

    model: Any
    inputs: Callable[[Any], Mapping[str, Any]] | None = None
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSpec:
    """The description of a backend, made without an import of the framework.

    Parameters
    ----------
    name : str
        Name, such as ``"torch"``.
    factory : str
        ``"package.module:Class"``, imported on first use and called as
        ``Class(model, loss=name_or_callable_or_None, optimizer=Optimizer(...))``.
    models : tuple of str
        Qualified names of model classes that this backend takes, subclasses included, such as
        ``"torch.nn.modules.module.Module"``.
    recognises : callable, optional
        ``model -> bool`` for models without a class of their own. It must not import a framework.
    requires : tuple of str
        Import names that the backend needs.
    hint : str
        The command that installs them.
    demo : str
        ``"package.module:function"`` that trains the demo's model:
        ``function(x, y, *, classes, seed) -> model``. Empty: no demo.
    limits : str
        The reason for missing capabilities, as the second half of a sentence.
    files : mapping of str to str
        ``"package.module:function"`` by suffix, such as ``".joblib"``, or `FOLDER`. It reads a file
        of a trained model: ``function(path, *, trust) -> StoredModel``. Without ``trust`` it must
        run no code of the file.
    """

    name: str
    factory: str
    models: tuple[str, ...] = ()
    recognises: Callable[[Any], bool] | None = None
    requires: tuple[str, ...] = ()
    hint: str = ""
    demo: str = ""
    limits: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    def missing(self) -> list[str]:
        """Import names that are not installed."""
        return [name for name in self.requires if find_spec(name.partition(".")[0]) is None]

    def load(self, target: str) -> Any:
        """Import ``"package.module:name"``, or raise an error with the install command."""
        module, _, attribute = target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            msg = f"backend {self.name!r} is installed but cannot be imported ({error})"
            raise BackendLoadError(f"{msg}; try: {self.hint}" if self.hint else msg) from error


@hookspec
def gexcore_register_backend() -> BackendSpec | list[BackendSpec]:  # type: ignore[empty-body]
    """Describe the backends of this plugin, without an import of a framework."""
