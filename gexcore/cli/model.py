"""The user's model, from a file or a module that is run to get it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from gexcore.errors import InvalidModelError

KINDS = (
    "it must be file.py:callable or package.module:callable, where the callable returns the "
    "trained model"
)


class Origin(NamedTuple):
    """A model and its origin.

    Parameters
    ----------
    model : native model
    callable : str
        Name of the callable that returned it.
    file : Path or None
        File of the callable, if there is one.
    """

    model: Any
    callable: str
    file: Path | None


def load_model(where: str) -> Origin:
    """The model that ``file.py:callable`` or ``package.module:callable`` returns.

    Raises
    ------
    InvalidModelError
        If the file or the callable fails.
    """
    build, file = load_callable(where, "MODEL", KINDS)
    place, _, name = where.rpartition(":")
    try:
        model = build()
    except (Exception, SystemExit) as error:
        msg = (
            f"{name}() of {place} failed ({_told(error)}); called without arguments it must "
            "return the trained model"
        )
        raise InvalidModelError(msg) from error
    return Origin(model, name, file)


def load_callable(where: str, what: str, kinds: str) -> tuple[Callable[..., Any], Path | None]:
    """The callable of ``file.py:callable`` or ``package.module:callable``, and its file.

    Parameters
    ----------
    where : str
    what : str
        Name of the argument, for errors.
    kinds : str
        Kinds that are allowed, for errors.

    Raises
    ------
    InvalidModelError
    """
    place, colon, name = where.rpartition(":")
    if not colon or not place or not name:
        raise InvalidModelError(f"{what} is {where!r}; {kinds}")
    module = _import(place, kinds)
    found = getattr(module, name, None)
    if not callable(found):
        has = (
            f"no {name}"
            if found is None
            else f"{name}, which is no callable but of type {type(found).__name__}"
        )
        raise InvalidModelError(f"{place} has {has}; {kinds}")
    file = getattr(module, "__file__", None)
    return found, file and Path(file)


def _import(place: str, kinds: str) -> ModuleType:
    path = Path(place)
    is_file = path.suffix == ".py"
    if is_file and not path.is_file():
        raise InvalidModelError(f"{place} does not exist; {kinds}")
    # as Python itself does for a script, and does not for a console command in the working
    # directory
    sys.path.insert(0, str(path.parent.resolve() if is_file else Path.cwd()))
    try:
        return _run(path) if is_file else importlib.import_module(place)
    except (Exception, SystemExit) as error:
        raise InvalidModelError(f"{place} cannot be run ({_told(error)}); {kinds}") from error


def _run(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses and pickles look their module up
    spec.loader.exec_module(module)
    return module


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
