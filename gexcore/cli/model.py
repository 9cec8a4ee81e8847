"""The user's model, from a file or a module that is run to get it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from gexcore.errors import InvalidModelError

KINDS = (
    "it must be file.py:callable or package.module:callable, where the callable returns the "
    "trained model, or a file of a trained model: .joblib, .pkl, .skops, .keras, .pt, .pt2, or a "
    "Hugging Face model folder"
)


class Origin(NamedTuple):
    """A model and its origin.

    Parameters
    ----------
    model : native model
    callable : str
        Name of the callable that returned it. Empty for a file of a trained model.
    file : Path or None
        File of the callable or of the model, if there is one.
    inputs : callable, optional
    classes : tuple of str
        See `gexcore.backend.plugins.StoredModel`.
    """

    model: Any
    callable: str
    file: Path | None
    inputs: Callable[[Any], Mapping[str, Any]] | None = None
    classes: tuple[str, ...] = ()


def load_model(where: str, *, trust: bool = False) -> Origin:
    """The model that a callable returns, or that a file holds.

    Parameters
    ----------
    where : str
        ``file.py:callable``, ``package.module:callable``, or a file or folder of a model.
    trust : bool
        Whether code in a file of a model may run.

    Raises
    ------
    InvalidModelError
        If the file or the callable fails, or needs trust.
    """
    path = Path(where)
    if path.exists():
        return _stored(path, trust=trust)
    if ":" not in where and (path.suffix or path.parent != Path()):
        raise InvalidModelError(f"MODEL {where} does not exist; {KINDS}")
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


def _stored(path: Path, *, trust: bool) -> Origin:
    from gexcore.backend.plugins import FOLDER
    from gexcore.backend.registry import default_registry

    registry = default_registry()
    suffix = FOLDER if path.is_dir() else path.suffix.lower()
    if suffix not in registry.files():
        raise InvalidModelError(f"MODEL is {str(path)!r}; {KINDS}")
    sys.path.insert(0, str(Path.cwd()))  # a pickle may name a module of the user
    found = registry.read(path, suffix=suffix, trust=trust)
    return Origin(found.model, "", path, found.inputs, found.classes)


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
