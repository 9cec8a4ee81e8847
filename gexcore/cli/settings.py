"""Settings of the methods as flags: one flag per name, for all methods with it."""

from __future__ import annotations

import argparse
import types
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from gexcore.cli.catalogue import METHODS, Method, by_name
from gexcore.ensembles.budget import Budget
from gexcore.errors import InvalidSettingError

HELP = {
    "chains": "independent runs from the checkpoint",
    "snapshots": "members along each chain",
    "lr": "learning rate; auto is set by feedback",
    "steps_per_snapshot": "optimizer steps before each member",
    "batch_size": "samples per optimizer step or derivative",
    "scoring": "source of a member's losses",
    "optimizer": "optimizer of the members; best is that of the training",
    "anchors": "points near the checkpoint that members start from",
    "restarts": "members from each anchor",
    "anchor_steps": "optimizer steps from the checkpoint to an anchor",
    "anchor_lr": "learning rate of these steps",
    "steps": "optimizer steps from an anchor to a member",
    "subset": "share of the samples that each member sees",
    "strength": "strength of the ridge over members",
    "momentum": "momentum of sgd",
    "weight_decay": "decay of the members, or of the training in a Hessian",
    "budget": "largest cost, in passes over the data, or with a unit: 90s",
    "pretraining_epochs": "training epochs of the model, a quarter of which is the budget",
    "tolerance": "reliability of a chain's own scores at which it ends",
    "floor": "lower bound of the base loss in deviations",
    "ceiling": "upper bound of every loss in deviations; auto is the clip of suspicion",
    "chance_loss": "loss of a model that knows nothing",
    "keep": "states kept for suggested labels",
    "first_chain": "number of the first chain: other numbers add to one ensemble",
    "damping": "number added to the eigenvalues of the Hessian",
    "rank": "eigenvalues to keep, largest in size",
    "iterations": "Hessian products",
    "order": "order of the eigenvalues",
    "starts": "random vectors at the start: eigenvectors of one eigenvalue that can be found",
    "samples": "number of draws, or of samples in the Hessian",
    "structure": "Fisher factors or the whole Hessian",
    "scale": "scale of the draws, or of the Hessian in a solve",
    "fisher": "labels of the Fisher matrix",
    "depth": "number of steps of a solve",
    "repeats": "number of solves, or of trainings without each sample",
    "directions": "number of random directions",
    "start": "start of each training: the model, or a fresh one",
    "workers": "trainings at a time",
    "epoch": "recorded epoch to read",
    "squared": "square the distances, as the paper's code does",
    "never_learnt": "count of a sample that was never right",
    "k": "number of neighbours",
    "features": "space of the neighbours",
    "metric": "metric of distances",
    "include_self": "count a sample among its neighbours",
    "squared_distance": "score squared distances of labels",
    "folds": "number of models of the cross-validation",
    "quality": "measure of a label by probabilities",
    "adjusted": "subtract each class's mean confidence first",
    "half_scored": "score every second sample only, a fault of the paper's code",
    "through": "let cleanlab compute the quality",
    "seed": "equal seeds give equal results",
}
"""Help of every setting that is a number, a word or a switch."""


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


def add_settings(parser: argparse.ArgumentParser, methods: Iterable[Method] = METHODS) -> None:
    """Add a flag for every setting in `HELP` that one of the methods has."""
    chosen = tuple(methods)
    told = "The defaults choose everything." if len(chosen) == 1 else "Each flag names its methods."
    group = parser.add_argument_group("settings of the method", told)
    for name, text in HELP.items():
        having = [method for method in chosen if name in method.settings]
        if not having:
            continue
        kind = _kind([get_type_hints(method.cls)[name] for method in having])
        how: dict[str, Any] = {"type": kind.parse, "metavar": "X" if float in kind.numbers else "N"}
        if name == "budget":
            how = {"type": _budget, "metavar": "COST"}
        elif kind.switch:
            how = {"action": "store_true"}
        elif not kind.numbers:
            how = {"choices": kind.words}
        whose = "" if len(chosen) == 1 else f"{', '.join(method.name for method in having)}: "
        default = "" if kind.switch else _default(name, having)
        group.add_argument(
            flag(name), default=argparse.SUPPRESS, help=f"{whose}{text}{default}", **how
        )


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
        allowed = ", ".join(method.name for method in METHODS if method.name != "LastLayer")
        raise InvalidSettingError(
            f"{why}; --method is one of {allowed} (`gexcore methods` tells them apart)"
        )
    return found


def given(args: argparse.Namespace, method: Method) -> dict[str, Any]:
    """The settings with given flags.

    Raises
    ------
    InvalidSettingError
        If the method does not have a given setting.
    """
    found = {name: getattr(args, name) for name in HELP if hasattr(args, name)}
    foreign = [flag(name) for name in found if name not in method.settings]
    if foreign:
        has = ", ".join(flag(name) for name in HELP if name in method.settings) or "none"
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
    return f" (default: {defaults.pop()})" if len(defaults) == 1 else ""


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
