"""Backends by name and by model type, found through entry points and pluggy.

Names are read without any import. A request for one backend loads only its plugin. A plugin is a
small module that imports no framework.
"""

from __future__ import annotations

import functools
import inspect
import os
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pluggy

from gexcore.backend import plugins as _hookspecs
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.plugins import BackendSpec, StoredModel
from gexcore.backend.protocols import Backend
from gexcore.errors import (
    BackendConflictError,
    BackendLoadError,
    InvalidModelError,
    UnknownBackendError,
)

GROUP = "gexcore.backends"
DISABLE = "GEXCORE_DISABLE_BACKENDS"


class BackendRegistry:
    """Backends by name. One default instance serves the whole process (`default_registry`)."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(_hookspecs.PROJECT)
        self._manager.add_hookspecs(_hookspecs)
        for name in filter(None, os.environ.get(DISABLE, "").replace(" ", "").split(",")):
            self.block(name)

    def register(self, plugin: object, name: str | None = None) -> str:
        """Add a plugin at run time. It replaces an entry point of the same name.

        Raises
        ------
        BackendConflictError
            If a plugin of that name is already in use.
        BackendLoadError
            If the plugin cannot describe its backends.
        """
        name = name or self._manager.get_canonical_name(plugin)
        if self._manager.has_plugin(name):
            msg = (
                f"a plugin named {name!r} is in use already; unregister it first, or choose "
                "another name"
            )
            raise BackendConflictError(msg)
        self._admit(name, lambda: self._manager.register(plugin, name))
        return name

    def unregister(self, name: str) -> None:
        """Remove a plugin that was registered at run time."""
        self._manager.unregister(name=name)

    def block(self, name: str) -> None:
        """Treat this backend as not installed."""
        self._manager.set_blocked(name)

    def names(self) -> list[str]:
        """Names of all backends, from the metadata of entry points alone."""
        described = {spec.name for spec in self._described()}
        return sorted(
            described
            | {e.name for e in self._entry_points() if not self._manager.is_blocked(e.name)}
        )

    def spec(self, name: str) -> BackendSpec:
        """The description of one backend. No other plugin is loaded if that suffices."""
        self._load(name)
        for by_entry_point in (False, True):
            if by_entry_point:  # one plugin may describe several backends
                self._load_all()
            found = [spec for spec in self._described() if spec.name == name]
            if len(found) > 1:
                told = " and ".join(sorted(spec.factory for spec in found))
                msg = (
                    f"backend {name!r} is described by several plugins, for {told}; unregister "
                    "or uninstall all but one"
                )
                raise BackendConflictError(msg)
            if found:
                return found[0]
        msg = f"no backend named {name!r}; installed: {', '.join(self.names()) or 'none'}"
        raise UnknownBackendError(msg)

    def get(self, name: str) -> type[Backend[Any, Any]]:
        """The class of the backend. This imports its framework.

        Raises
        ------
        UnknownBackendError, BackendLoadError
            If the backend is unknown or cannot be imported.
        """
        spec = self.spec(name)
        missing = spec.missing()
        if missing:
            msg = f"backend {name!r} needs {', '.join(missing)}, which is not installed"
            raise BackendLoadError(f"{msg}; try: {spec.hint}" if spec.hint else msg)
        cls: type[Backend[Any, Any]] = spec.load(spec.factory)
        check_signatures(cls, Backend, who=f"backend {name!r}")
        return cls

    def find(self, model: object) -> str:
        """Name of the backend that takes this model, found from its type without an import."""
        self._load_all()
        bases = {f"{cls.__module__}.{cls.__qualname__}" for cls in type(model).__mro__}
        found = {
            spec.name
            for spec in self._described()
            if bases & set(spec.models) or (spec.recognises is not None and spec.recognises(model))
        }
        if len(found) == 1:
            return found.pop()
        kind = f"{type(model).__module__}.{type(model).__qualname__}"
        if found:
            msg = (
                f"a model of type {kind} fits the backends {', '.join(sorted(found))}; choose "
                "one with backend=..."
            )
            raise UnknownBackendError(msg)
        specs = sorted(self._described(), key=lambda spec: spec.name)
        absent = "".join(
            f"; for {s.name}: {s.hint or f'install {s.missing()[0]}'}" for s in specs if s.missing()
        )
        msg = (
            f"no backend takes a model of type {kind}; installed: "
            f"{', '.join(s.name for s in specs if not s.missing())}{absent}"
        )
        raise InvalidModelError(msg + _advice(model))

    def files(self) -> dict[str, str]:
        """The backend that reads a file of a model, by suffix."""
        self._load_all()
        return {suffix: spec.name for spec in self._described() for suffix in spec.files}

    def read(self, path: Path, *, suffix: str, trust: bool) -> StoredModel:
        """The model in a file.

        Parameters
        ----------
        path : Path
        suffix : str
            One of `files`.
        trust : bool
            Whether code in the file may run.

        Raises
        ------
        BackendLoadError, InvalidModelError
            If the framework is not installed, or the file holds no model that it can read.
        """
        name = self.files()[suffix]
        self.get(name)  # the error names what is missing
        spec = self.spec(name)
        found: StoredModel = spec.load(spec.files[suffix])(path, trust=trust)
        return found

    def create(
        self,
        model: Any,
        *,
        backend: str | None = None,
        loss: str | Callable[..., Any] | None = None,
        optimizer: Optimizer | None = None,
    ) -> Backend[Any, Any]:
        """The backend of a model. A backend is returned as it is."""
        if backend is None and isinstance(model, Backend) and not isinstance(model, type):
            if loss is not None:
                msg = (
                    "loss= is given although the model is a backend, which has its own; set it "
                    "where the backend is made"
                )
                raise InvalidModelError(msg)
            return model
        factory: Callable[..., Backend[Any, Any]] = self.get(backend or self.find(model))
        return factory(model, loss=loss, optimizer=optimizer or Optimizer())

    def _entry_points(self) -> list[EntryPoint]:
        return list(entry_points(group=GROUP))

    def _described(self) -> list[BackendSpec]:
        specs: list[BackendSpec] = []
        for described in self._manager.hook.gexcore_register_backend():
            specs.extend(described if isinstance(described, list) else [described])
        return [spec for spec in specs if not self._manager.is_blocked(spec.name)]

    def _load(self, name: str) -> None:
        if self._manager.has_plugin(name) or self._manager.is_blocked(name):
            return
        # of two plugins, pluggy would silently take the first
        owners = sorted(
            {e.dist.name if e.dist else e.value for e in self._entry_points() if e.name == name}
        )
        if len(owners) > 1:
            msg = (
                f"backend {name!r} is claimed by {' and '.join(owners)}; uninstall one, or set "
                f"{DISABLE}={name}"
            )
            raise BackendConflictError(msg)
        self._admit(name, lambda: self._manager.load_setuptools_entrypoints(GROUP, name=name))

    def _load_all(self) -> None:
        for name in sorted({e.name for e in self._entry_points()}):
            try:
                self._load(name)
            except (BackendLoadError, BackendConflictError) as error:
                warnings.warn(str(error), RuntimeWarning, stacklevel=3)

    def _admit(self, name: str, add: Callable[[], object]) -> None:
        """Add a plugin only if it can describe its backends, so that it cannot break others."""
        try:
            add()
            self._manager.check_pending()
            self._described()
        except Exception as error:
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            told = " ".join(str(error).split())
            msg = (
                f"the plugin {name!r} cannot be loaded ({told}); its hook is called "
                "gexcore_register_backend and takes no argument: repair or reinstall it, or set "
                f"{DISABLE}={name}"
            )
            raise BackendLoadError(msg) from error


def _advice(model: object) -> str:
    """What to give in place of something that only stands for a model."""
    if isinstance(model, str | Path):
        return "; load the model and give the object, not its name"
    if isinstance(model, type):
        return "; give a trained object, not its class"
    if isinstance(model, Mapping):
        return "; give the model that holds the weights, not the weights alone"
    if isinstance(model, list | tuple):
        return "; give one trained model, not its weights or several models"
    if callable(model):
        return "; give the function with its trained parameters, as (apply, params)"
    return ""


def check_signatures(cls: type, protocol: type, *, who: str) -> None:
    """Refuse a class whose methods cannot be called as the protocol calls them."""
    for name, wanted in inspect.getmembers(protocol, inspect.isfunction):
        if name.startswith("_"):
            continue
        method = getattr(cls, name, None)
        if not callable(method):
            msg = (
                f"{who} has no method {name}{inspect.signature(wanted)}; every backend must have it"
            )
            raise InvalidModelError(msg)
        expected = inspect.signature(wanted)
        positional = [p for p in expected.parameters.values() if p.kind is not p.KEYWORD_ONLY]
        keywords = [p.name for p in expected.parameters.values() if p.kind is p.KEYWORD_ONLY]
        found = inspect.signature(method)
        try:
            found.bind(*positional, **dict.fromkeys(keywords))
        except TypeError as error:
            msg = f"{who}: {name}{found} cannot be called as {name}{expected} ({error})"
            raise InvalidModelError(msg) from error


@functools.cache
def default_registry() -> BackendRegistry:
    """The registry of this process, made on first use."""
    return BackendRegistry()
