"""Plugins: the description of a backend, and the hook that gives it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import pluggy

from gexcore.errors import BackendLoadError

PROJECT = "gexcore"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""The mark of a plugin's implementation of a gexcore hook."""


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
    """

    name: str
    factory: str
    models: tuple[str, ...] = ()
    recognises: Callable[[Any], bool] | None = None
    requires: tuple[str, ...] = ()
    hint: str = ""
    demo: str = ""
    limits: str = ""

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
