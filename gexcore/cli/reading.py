"""Arguments that say how DATA is read."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gexcore.errors import InvalidSettingError


@dataclass(frozen=True)
class Reading:
    """The arguments that say how DATA is read. None and () stand for the default.

    Parameters
    ----------
    label : str or None
        Column of the labels.
    columns : tuple of str
        Columns of the inputs.
    text : str or None
        Column of texts, which is the input.
    id : str or None
        Column that names the samples.
    separator : str or None
        Separator of the cells of a text table.
    size : tuple of two ints, or None
        Height and width of pictures.
    """

    label: str | None = None
    columns: tuple[str, ...] = ()
    text: str | None = None
    id: str | None = None
    separator: str | None = None
    size: tuple[int, int] | None = None

    def identity(self) -> dict[str, Any]:
        """The arguments that were given, for `run.json`."""
        return {name: value for name, value in asdict(self).items() if value}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Reading:
        """The reading with this identity."""
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in told.items()
        }
        return cls(**values)

    def taken(self, allowed: Sequence[str], what: str) -> None:
        """Refuse arguments that this kind of data does not take.

        Raises
        ------
        InvalidSettingError
        """
        for name in self.identity():
            if name not in allowed:
                raise InvalidSettingError(f"--{name} does not apply to {what}; leave it out")


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    group = parser.add_argument_group("how DATA is read")
    group.add_argument("--label", metavar="COLUMN", help="column of a table that holds the labels")
    group.add_argument(
        "--columns",
        metavar="A,B,…",
        type=_names,
        help="columns of a table that the model takes (default: those that a scikit-learn model "
        "was fitted with, else all but the labels and --id)",
    )
    group.add_argument(
        "--text", metavar="COLUMN", help="column of texts, for a model that takes texts"
    )
    group.add_argument("--id", metavar="COLUMN", help="column that names the samples")
    group.add_argument(
        "--separator",
        metavar="CHARACTER",
        help="between the cells of a .csv file (default: found from the file)",
    )
    group.add_argument(
        "--size", metavar="HxW", type=size, help="height and width to bring pictures to"
    )


def reading_of(args: argparse.Namespace) -> Reading:
    """The reading that the arguments tell."""
    return Reading(
        label=args.label,
        columns=args.columns or (),
        text=args.text,
        id=args.id,
        separator=args.separator,
        size=args.size,
    )


def size(text: str) -> tuple[int, int]:
    """Height and width of ``HxW``."""
    height, x, width = text.partition("x")
    if not (x and height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no size; give height and width, such as 28x28"
        )
    return int(height), int(width)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in next(csv.reader([text], skipinitialspace=True), []))
