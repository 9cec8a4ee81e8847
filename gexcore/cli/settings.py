"""Settings of the methods as flags: one flag per name, for all methods with it."""

from __future__ import annotations

import argparse
import types
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from gexcore.cli.catalogue import METHODS, Method, by_name
from gexcore.cli.documented import documented
from gexcore.cli.terminal import meant
from gexcore.ensembles.budget import Budget
from gexcore.errors import InvalidSettingError


class Kind(NamedTuple):
    """Values that a flag takes.

    Parameters
    ----------
    numbers : set of type
        Allowed types of numbers: ``int`` and ``float``.
    words : tuple of str
        Allowed words.
    switch : bool
        Whether the flag takes no value.
    """

    numbers: frozenset[type]
    words: tuple[str, ...]
    switch: bool

    def parse(self, text: str) -> int | float | str:
        """The value of a text."""
        if text in self.words:
            return text
        try:
            return float(text) if float in self.numbers else int(text)
        except ValueError:
            kind = "number" if float in self.numbers else "whole number"
            told = (
                f"is neither a {kind} nor {' nor '.join(self.words)}"
                if self.words
                else f"is no {kind}"
            )
            raise argparse.ArgumentTypeError(f"{text!r} {told}") from None


def add_settings(
    parser: argparse.ArgumentParser,
    methods: Iterable[Method] = METHODS,
    *,
    shown: Method | None = None,
) -> None:
    """Add a flag for every setting in `HELP` that one of the methods has.

    Parameters
    ----------
    parser : ArgumentParser
    methods : iterable of Method
    shown : Method, optional
        The method whose settings the help shows. The default shows those of all.
    """
    chosen = tuple(methods)
    one = shown or (chosen[0] if len(chosen) == 1 else None)
    title, told = "settings of the method", "Each flag names its methods."
    if one is not None:
        title, told = f"settings of {one.name}", "The defaults choose everything."
    if shown is not None:
        known = "The defaults choose everything." if flagged([shown]) else "There are none."
        told = f"{known} `--method NAME --help` shows those of another method."
    group = parser.add_argument_group(title, told)
    for name in flagged(chosen):
        having = [method for method in chosen if name in method.settings]
        kind = _kind([get_type_hints(method.cls)[name] for method in having])
        how: dict[str, Any] = {"type": kind.parse, "metavar": "X" if float in kind.numbers else "N"}
        if name == "budget":
            how = {"type": _budget, "metavar": "COST"}
        elif name == "reference":
            how = {"metavar": "FOLDER"}
        elif kind.switch:
            how = {"action": "store_true"}
        elif not kind.numbers:
            how = {"choices": kind.words}
        whose = "" if one else f"{', '.join(method.name for method in having)}: "
        whom = [one] if one is not None and one in having else having
        # argparse reads a percent sign as a place for a value
        text = documented(whom[0].cls).get(name, "").replace("%", "%%")
        default = "" if kind.switch else _default(name, whom)
        told = f"{whose}{text}{default}"
        if one is not None and one not in having:
            told = argparse.SUPPRESS
        group.add_argument(flag(name), default=argparse.SUPPRESS, help=told, **how)


def flagged(methods: Iterable[Method] = METHODS) -> list[str]:
    """Names of all settings that are numbers, words or switches, in the order of the methods."""
    found: dict[str, None] = {}
    for method in methods:
        hints = get_type_hints(method.cls)
        # an ensemble is an extra, with a flag of its own, though "auto" is a word
        own = [name for name in method.settings if name != "ensemble"]
        found |= dict.fromkeys(
            name for name in own if name == "reference" or any(_kind([hints[name]]))
        )
    return list(found)


def flag(name: str) -> str:
    """Name of the flag of a setting."""
    return f"--{name.replace('_', '-')}"


def named(name: str) -> Method:
    """The method of this name.

    Raises
    ------
    InvalidSettingError
    """
    found = by_name(name)
    if found is None or found.name == "LastLayer":
        why = (
            f"no method is named {name!r}"
            if found is None
            else "LastLayer wraps another method: add --last-layer to that"
        )
        names = [method.name for method in METHODS if method.name != "LastLayer"]
        why += meant(name, names) if found is None else ""
        allowed = ", ".join(names)
        raise InvalidSettingError(
            f"{why.removesuffix('?')}; --method is one of {allowed} (`gexcore methods` tells them "
            "apart)"
        )
    return found


def given(args: argparse.Namespace, method: Method) -> dict[str, Any]:
    """The settings with given flags.

    Raises
    ------
    InvalidSettingError
        If the method does not have a given setting.
    """
    found = {name: getattr(args, name) for name in flagged() if hasattr(args, name)}
    foreign = [flag(name) for name in found if name not in method.settings]
    if foreign:
        has = ", ".join(flag(name) for name in flagged([method])) or "none"
        raise InvalidSettingError(
            f"{method.name} has no setting {', '.join(foreign)}; leave it out (it has {has})"
        )
    return found


def _budget(text: str) -> float | str | Budget:
    if text == "auto":
        return text
    try:
        number = float(text.removesuffix("s"))
    except ValueError:
        msg = (
            f"{text!r} is neither a number of passes over the data, nor one of seconds such as "
            "90s, nor auto"
        )
        raise argparse.ArgumentTypeError(msg) from None
    try:
        return Budget(seconds=number) if text.endswith("s") else number
    except InvalidSettingError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _default(name: str, methods: list[Method]) -> str:
    defaults = {str(getattr(method.cls, name)) for method in methods}
    return f" (default: {defaults.pop()})" if len(defaults - {"None"}) == 1 else ""


def _kind(hints: Iterable[Any]) -> Kind:
    parts = [part for hint in hints for part in _parts(hint)]
    words = tuple(dict.fromkeys(part for part in parts if isinstance(part, str)))
    numbers = frozenset(part for part in parts if part in (int, float))
    return Kind(numbers, words, bool in parts)


def _parts(hint: Any) -> list[Any]:
    """The members of a union, and the values of a literal."""
    if get_origin(hint) in (Union, types.UnionType):
        return [part for member in get_args(hint) for part in _parts(member)]
    return list(get_args(hint)) if get_origin(hint) is Literal else [hint]
