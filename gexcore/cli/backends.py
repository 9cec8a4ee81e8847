"""`gexcore backends`: the installed backends and their capabilities."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from gexcore.backend.capabilities import CAPABILITIES, describe
from gexcore.backend.registry import BackendRegistry, default_registry
from gexcore.cli.text import add_json, aligned, print_json

DESCRIPTION = "Lists every backend: what it can do, or what is missing to use it."


class Row(NamedTuple):
    """One backend.

    Parameters
    ----------
    name : str
    can : dict of str to bool, or None
        Whether the backend has each capability. None if it cannot be used.
    note : str
        Reason why it cannot be used, and what to do.
    limits : str
        Reason for missing capabilities.
    """

    name: str
    can: dict[str, bool] | None
    note: str = ""
    limits: str = ""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    add_json(form)


def run(args: argparse.Namespace) -> None:
    """Print the table."""
    found = rows(default_registry())
    if args.json:
        print_json({"backends": [row._asdict() for row in found]})
    else:
        print(markdown(found) if args.markdown else table(found))


def rows(registry: BackendRegistry) -> list[Row]:
    """Every backend of the registry. This imports their frameworks."""
    return [_row(registry, name) for name in registry.names()]


def table(rows: list[Row]) -> str:
    """The rows in columns, with reasons below."""
    header = ["backend", *CAPABILITIES]
    usable = [
        [row.name, *("yes" if yes else "-" for yes in row.can.values())]
        for row in rows
        if row.can is not None
    ]
    others = [f"{row.name}: {row.note}" for row in rows if row.can is None]
    return "\n".join(([aligned([header, *usable])] if usable else []) + others)


def markdown(rows: list[Row]) -> str:
    """The rows as a Markdown table. A reason is in the last cell of its row."""
    lines = [["backend", *CAPABILITIES, "note"], ["---"] * (len(CAPABILITIES) + 2)]
    for row in rows:
        can = row.can or dict.fromkeys(CAPABILITIES)
        lines.append(
            [
                f"`{row.name}`",
                *({True: "yes", False: "–", None: ""}[yes] for yes in can.values()),
                row.note,
            ]
        )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _row(registry: BackendRegistry, name: str) -> Row:
    try:
        return Row(name, describe(registry.get(name)), limits=registry.spec(name).limits)
    except Exception as error:  # a broken backend or framework may raise anything on import
        return Row(name, None, (str(error).splitlines() or [type(error).__name__])[0])
