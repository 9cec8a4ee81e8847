"""Options of the method, as flags."""

from __future__ import annotations

import argparse
from typing import Literal

from gexcore.budget import Budget
from gexcore.estimators.gex import GEX

SETTINGS = (
    "chains",
    "snapshots",
    "lr",
    "steps_per_snapshot",
    "batch_size",
    "harvest",
    "optimizer",
    "momentum",
    "weight_decay",
    "budget",
    "pretraining_epochs",
    "seed",
)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Flags for `SETTINGS`, with the defaults of `GEX`."""
    group = parser.add_argument_group("settings of the method", "The defaults choose everything.")

    def add(flag: str, help: str, **how: object) -> None:
        default = getattr(GEX, flag.removeprefix("--").replace("-", "_"))
        group.add_argument(flag, default=default, help=f"{help} (default: {default})", **how)  # type: ignore[arg-type]

    add("--chains", "independent runs from the checkpoint", type=_count, metavar="N")
    add("--snapshots", "members along each chain", type=_count, metavar="N")
    add("--lr", "learning rate; auto is set by feedback", type=_rate, metavar="LR")
    add("--steps-per-snapshot", "optimizer steps before each member", type=_count, metavar="N")
    add("--batch-size", "samples per optimizer step", type=_count, metavar="N")
    add("--harvest", "where a member's losses come from", choices=("auto", "evaluated", "free"))
    add("--optimizer", "that of the training serves best", choices=("sgd", "adamw"))
    add("--momentum", "of sgd", type=float, metavar="M")
    add("--weight-decay", "that of the training serves best", type=float, metavar="W")
    add("--budget", "most that it may cost, in passes over the data, or with a unit: 90s", type=_budget, metavar="COST")
    add("--pretraining-epochs", "of the model, a quarter of which is then the budget", type=float, metavar="E")
    add("--seed", "equal seeds give equal results", type=int, metavar="SEED")


def estimator(args: argparse.Namespace) -> GEX:
    """The method with the flags given.

    Raises
    ------
    InvalidSettingError
    """
    given = {name: getattr(args, name) for name in SETTINGS}
    if isinstance(given["budget"], str) and given["budget"] != "auto":
        given["budget"] = Budget(seconds=float(given["budget"].removesuffix("s")))
    return GEX(**given)


def _count(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a whole number nor auto") from None


def _budget(text: str) -> float | str:
    try:
        number = float(text.removesuffix("s")) if text != "auto" else 0.0
    except ValueError:
        msg = f"{text!r} is neither a number of passes over the data, nor one of seconds such as 90s, nor auto"
        raise argparse.ArgumentTypeError(msg) from None
    return text if text == "auto" or text.endswith("s") else number


def _rate(text: str) -> float | Literal["auto"]:
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor auto") from None
