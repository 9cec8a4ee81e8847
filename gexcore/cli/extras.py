"""Extra inputs of some methods: checkpoints, recorders, recipes, probabilities."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import gexcore
from gexcore.backend.archives import UNREADABLE
from gexcore.backend.digests import file_digest
from gexcore.cli.catalogue import Method
from gexcore.cli.files import refuse_missing
from gexcore.cli.model import load_callable
from gexcore.cli.settings import flag
from gexcore.errors import InvalidDataError, InvalidModelError, InvalidSettingError
from gexcore.scores.fitting import check_checkpoints

FROM_CODE = "it must be file.py:callable or package.module:callable, where the callable"

ENSEMBLES: dict[str, Callable[[], Any]] = {
    "auto": lambda: "auto",
    "geometric": lambda: gexcore.Geometric(),
    "relearning": lambda: gexcore.Relearning(),
}
"""Ensembles by name."""


class Extra(NamedTuple):
    """A value, and the digest that identifies it."""

    value: Any
    identity: Any


def add_extras(parser: argparse.ArgumentParser, *, shown: Method | None = None) -> None:
    """Add a flag for each extra input.

    Parameters
    ----------
    parser : ArgumentParser
    shown : Method, optional
        The method whose inputs the help shows. The default shows those of all.
    """
    title: str = "what some methods take beside"
    told: str | None = "`gexcore methods` says which."
    if shown is not None:
        title, told = f"what {shown.name} takes beside", None
    group = parser.add_argument_group(title, told)
    code = "file.py:callable"
    group.add_argument(
        "--checkpoints",
        metavar=code,
        help="called without arguments, it returns the list of the training's checkpoints",
    )
    group.add_argument(
        "--recorder",
        metavar="FILE",
        action="append",
        type=Path,
        help="what Recorder.save wrote; repeat it for each run",
    )
    group.add_argument(
        "--probabilities",
        metavar="FILE",
        type=Path,
        help=".npy file (samples × classes), out of sample",
    )
    group.add_argument(
        "--train",
        metavar=code,
        help="the recipe itself: train(x, y) -> model, or of LOO train(data, start, seed) -> model",
    )
    group.add_argument(
        "--ensemble",
        nargs="?",
        const="geometric",
        choices=tuple(ENSEMBLES),
        help="GEX: what its members are (default: auto; without a value: geometric); TracInRP: "
        "members in place of checkpoints",
    )
    group.add_argument(
        "--parameters",
        metavar="PATTERN",
        action="append",
        help="only these parameters, by name; may be repeated",
    )
    group.add_argument(
        "--last-layer", action="store_true", help="only the parameters of the last layer"
    )
    group.add_argument(
        "--indices", metavar="I,J,…", type=_indices, help="LOO: remove these samples only"
    )
    for action in group._group_actions:
        setting = {"last_layer": "parameters"}.get(action.dest, action.dest)
        if shown is not None and setting not in shown.settings:
            action.help = argparse.SUPPRESS


def taken(args: argparse.Namespace, method: Method) -> dict[str, Extra]:
    """The given extra inputs, by the name of the setting.

    Raises
    ------
    InvalidSettingError
        If the method does not take an input, or lacks a needed one.
    InvalidModelError, InvalidDataError
        If a file cannot be used.
    """
    found = {name: value for name in READ if (value := getattr(args, name))}
    if args.last_layer and "parameters" not in method.settings:
        raise InvalidSettingError(
            f"{method.name} neither steps nor takes derivatives; leave --last-layer out"
        )
    for name in found:
        if name not in method.settings:
            raise InvalidSettingError(f"{method.name} does not take {flag(name)}; leave it out")
    required = {way.takes for way in method.ways}
    if "" not in required and not required & found.keys():
        told = " or ".join(flag(name) for name in READ if name in required)
        raise InvalidSettingError(
            f"{method.name} needs {told}; `gexcore score --help` says what that is"
        )
    return {name: READ[name](value) for name, value in found.items()}


def _checkpoints(where: str) -> Extra:
    build, file = load_callable(
        where, "--checkpoints", f"{FROM_CODE} returns the list of checkpoints"
    )
    try:
        value = build()
    except (Exception, SystemExit) as error:
        told = f"{type(error).__name__}: {error}".splitlines()[0]
        msg = (
            f"{where} failed ({told}); called without arguments it must return the list of "
            "checkpoints"
        )
        raise InvalidModelError(msg) from error
    check_checkpoints(value)
    return Extra(value, _of_code(where, file))


def _train(where: str) -> Extra:
    recipe, file = load_callable(where, "--train", f"{FROM_CODE} trains and returns a model")
    return Extra(recipe, _of_code(where, file))


def _of_code(where: str, file: Path | None) -> list[str | None]:
    return [where.rpartition(":")[2], file_digest(file) if file else None]


def _recorder(paths: list[Path]) -> Extra:
    for path in paths:
        refuse_missing(path, "--recorder names a file that Recorder.save wrote")
    runs = [gexcore.Recorder.load(path) for path in paths]
    return Extra(runs[0] if len(runs) == 1 else runs, [file_digest(path) for path in paths])


def _probabilities(path: Path) -> Extra:
    kind = "--probabilities names a .npy file with one row per sample and one column per class"
    refuse_missing(path, kind)
    try:
        return Extra(np.lib.format.open_memmap(path, mode="r"), file_digest(path))
    except UNREADABLE as error:
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise InvalidDataError(f"{path} cannot be read ({told}); {kind}") from error


def _plain(value: Any) -> Extra:
    return Extra(value, value)


READ: dict[str, Callable[[Any], Extra]] = {
    "checkpoints": _checkpoints,
    "recorder": _recorder,
    "probabilities": _probabilities,
    "train": _train,
    "ensemble": lambda name: Extra(ENSEMBLES[name](), name),
    "parameters": _plain,
    "indices": _plain,
}


def _indices(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no list of positions; give them as 0,5,17"
        ) from None
