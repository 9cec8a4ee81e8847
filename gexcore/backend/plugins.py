"""What a plugin tells about its backend, and the hook through which it does."""

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
"""Marks a plugin's implementation of a gexcore hook."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSpec:
    """What a plugin says about its backend, without importing the framework.

    Parameters
    ----------
    name : str
        Such as ``"torch"``.
    factory : str
        ``"package.module:Class"``, imported on first use and called as
        ``Class(model, loss=name_or_callable_or_None, optimizer=Optimizer(...))``.
    models : tuple of str
        Qualified names of the classes whose instances (subclasses included) this backend takes,
        such as ``"torch.nn.modules.module.Module"``.
    recognises : callable, optional
        For models that are no class of their own: ``model -> bool``; must not import a framework.
    requires : tuple of str
        Import names the backend needs.
    hint : str
        The command that installs them.
    demo : str
        ``"package.module:function"`` that trains the demo's model:
        ``function(x, y, *, classes, seed) -> model``. Empty: no demo.
    limits : str
        Why it lacks the capabilities that it lacks, as the second half of a sentence.
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
        """Import ``"package.module:name"``, naming the install command where that fails."""
        module, _, attribute = target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            msg = f"backend {self.name!r} is installed but cannot be imported ({error})"
            raise BackendLoadError(f"{msg}; try: {self.hint}" if self.hint else msg) from error


@hookspec
def gexcore_register_backend() -> BackendSpec | list[BackendSpec]:  # type: ignore[empty-body]
    """Describe the backend or backends of this plugin; must not import a framework."""
