"""Digests of models, datasets and callables by their content, not by their names.

Equal objects have equal digests in every process. Code of the user counts: functions by their
bytecode, classes by their methods. Code of installed packages counts by its name.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import random
import sys
import sysconfig
import types
import weakref
from collections.abc import Iterable, Mapping, Set
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gexcore.backend.data import to_numpy

CONSTANTS = (type(None), bool, int, float, complex, str, bytes)
MEMBERS = (types.FunctionType, staticmethod, classmethod, property, *CONSTANTS)
"""Types of members of a class that count: code and constants."""

PASSING = ("training",)
"""Attributes that do not count, as the user may leave them in any state."""

WHOLE = 2**24
"""The most bytes of an array that is read whole. A larger array gives every n-th number."""

UNCOUNTED = (np.random.Generator, np.random.RandomState, random.Random, weakref.ref)
"""Types whose content is not a setting."""

OURS = ("gexcore", "builtins")
"""Packages whose code counts by its name, because their versions are compared elsewhere."""


class Structure(NamedTuple):
    """The content of an object.

    Parameters
    ----------
    digest : str
        SHA-256 in hexadecimal.
    unread : tuple of str
        Types of the parts whose content cannot be read.
    """

    digest: str
    unread: tuple[str, ...]


def structure_of(*values: Any) -> Structure:
    """The digest of some objects with all their parts.

    Examples
    --------
    >>> from gexcore.backend.structure import structure_of
    >>> structure_of({"slope": 0.1}).digest == structure_of({"slope": 0.1}).digest
    True
    >>> structure_of({"slope": 0.1}).digest == structure_of({"slope": 0.2}).digest
    False
    """
    walk = _Walk()
    for value in values:
        walk.read(value)
    return Structure(walk.digest.hexdigest(), tuple(sorted(walk.unread)))


class _Walk:
    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.unread: set[str] = set()
        self._known: dict[int, bytes] = {}
        self._kept: list[Any] = []  # the id of a deleted object could be used again

    def tell(self, *words: Any) -> None:
        self.digest.update("\0".join(map(str, words)).encode(errors="surrogatepass") + b"\1")

    def read(self, value: Any) -> None:
        if isinstance(value, CONSTANTS) and type(value) in CONSTANTS:
            return self.tell(type(value).__name__, repr(value))
        if id(value) not in self._known:
            self._known[id(value)] = b"a circle"
            self._kept.append(value)
            outer, self.digest = self.digest, hashlib.sha256()
            try:
                self._compound(value)
            except RecursionError:
                self._opaque(value)
            self._known[id(value)], self.digest = self.digest.digest(), outer
        self.digest.update(self._known[id(value)])
        return None

    def _compound(self, value: Any) -> None:
        if isinstance(value, type):
            self._class(value)
        elif isinstance(value, Enum):
            self.tell("enum", type(value).__qualname__, value.name)
        elif isinstance(value, types.ModuleType):
            self._module(value)
        elif _is_array(value):
            self._array(value)
        elif isinstance(value, Mapping):
            self.tell("mapping", len(value))
            for key, item in value.items():
                self.read(key)
                self.read(item)
        elif isinstance(value, Set):
            self.tell("set", *sorted(structure_of(item).digest for item in value))
        elif isinstance(value, list | tuple):
            self.tell(type(value).__name__, len(value))
            self._all(value)
        elif isinstance(value, types.CodeType):
            self._code(value)
        elif isinstance(value, types.MethodType):
            self._all((value.__func__, value.__self__))
        elif isinstance(value, functools.partial):
            self._all((value.func, value.args, value.keywords))
        elif isinstance(value, staticmethod | classmethod):
            self.read(value.__func__)
        elif isinstance(value, property):
            self._all((value.fget, value.fset))
        elif isinstance(value, types.FunctionType):
            self._function(value)
        elif callable(getattr(value, "__wrapped__", None)):  # results of jax.jit and others
            self.read(inspect.unwrap(value))
        elif callable(getattr(value, "to_numpy", None)):  # a frame, or a column of one
            self.tell("frame", list(getattr(value, "columns", ())))
            self.read(value.to_numpy())
        else:
            self._object(value)

    def _all(self, values: Iterable[Any]) -> None:
        for value in values:
            self.read(value)

    def _object(self, value: Any) -> None:
        if isinstance(value, UNCOUNTED):
            return self.tell("uncounted", type(value).__qualname__)
        parts = _parts(value)
        if parts is None:
            return self._opaque(value)
        self.read(type(value))
        for name, part in parts.items():
            if name not in PASSING:
                self.tell("part", name)
                self.read(part)
        return None

    def _opaque(self, value: Any) -> None:
        told = repr(value)
        self.tell("opaque", type(value).__module__, type(value).__qualname__)
        if " at 0x" not in told:
            self.tell(told)
        elif not isinstance(value, types.BuiltinFunctionType):
            self.unread.add(type(value).__qualname__)

    def _array(self, value: Any) -> None:
        self.tell("array", getattr(value, "dtype", None), tuple(value.shape))
        try:
            array = to_numpy(value)
        except Exception:  # an array without numbers: a key of random numbers, a "meta" tensor
            return self.tell("no numbers")
        if array.dtype.kind == "O":
            return self.read(array.tolist())
        flat = array.reshape(-1)
        flat = flat[:: 1 + array.nbytes // WHOLE]
        self.digest.update(np.ascontiguousarray(flat).tobytes())
        return None

    def _class(self, value: type) -> None:
        self.tell("class", value.__module__ if _installed(value) else "", value.__qualname__)
        if _installed(value):
            return
        self._all(value.__bases__)
        for name, part in vars(value).items():
            if isinstance(part, MEMBERS) and name not in (
                "__module__",
                "__doc__",
                "__qualname__",
                "__firstlineno__",
            ):
                self.tell("method", name)
                self.read(part)

    def _module(self, value: types.ModuleType) -> None:
        file = getattr(value, "__file__", None)
        if file is None or _is_installed_file(file) or not Path(file).is_file():
            return self.tell("module", value.__name__)
        self.digest.update(hashlib.sha256(Path(file).read_bytes()).digest())
        return None

    def _function(self, value: types.FunctionType) -> None:
        if _installed(value) and value.__closure__ is None:
            return self.tell("function", value.__module__, value.__qualname__)
        self._code(value.__code__)
        self._all((value.__defaults__, value.__kwdefaults__))
        for cell in value.__closure__ or ():
            try:
                self.read(cell.cell_contents)
            except ValueError:  # not filled yet
                self.tell("empty cell")
        if _installed(value):
            return None
        for name in sorted(_names(value.__code__)):
            found = value.__globals__.get(name)
            kinds = (type, types.ModuleType, types.FunctionType, functools.partial, *CONSTANTS)
            if found is not None and (isinstance(found, kinds) or hasattr(found, "__wrapped__")):
                self.tell("global", name)
                self.read(found)
        return None

    def _code(self, code: types.CodeType) -> None:
        self.tell("code", code.co_names, code.co_varnames, code.co_freevars, code.co_flags)
        self.digest.update(code.co_code)
        self._all(code.co_consts)


def _parts(value: Any) -> dict[str, Any] | None:
    """The attributes of an object. None if none can be read."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    names = [
        name
        for cls in type(value).__mro__
        for name in np.atleast_1d(vars(cls).get("__slots__", ())).tolist()
        if name not in ("__dict__", "__weakref__")
    ]
    found = {name: getattr(value, name) for name in names if hasattr(value, name)}
    try:
        found |= vars(value)
    except TypeError:
        return found or None
    return found


def _names(code: types.CodeType) -> set[str]:
    nested = (part for part in code.co_consts if isinstance(part, types.CodeType))
    return set(code.co_names).union(*map(_names, nested))


def _is_array(value: Any) -> bool:
    return all(hasattr(value, name) for name in ("dtype", "shape", "__array__"))


def _installed(value: Any) -> bool:
    name = getattr(value, "__module__", None) or "builtins"
    if name.partition(".")[0].partition("_")[0] in OURS:
        return True
    file = getattr(sys.modules.get(name), "__file__", None)
    return name != "__main__" and (file is None or _is_installed_file(file))


@functools.cache
def _is_installed_file(file: str) -> bool:
    places = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return "site-packages" in file or any(file.startswith(place) for place in places if place)
