"""`gexcore methods`: all methods, with their needs, costs and backends."""

from __future__ import annotations

import argparse
import json
from dataclasses import MISSING, fields
from typing import Any

from gexcore.backend.registry import default_registry
from gexcore.cli.backends import Row, rows
from gexcore.cli.catalogue import METHODS, Method
from gexcore.cli.text import aligned
from gexcore.cli.ways import SYMBOLS, Way

DESCRIPTION = (
    "Lists every method: what it takes beside model and data, which capabilities of a backend it "
    "needs (`gexcore backends` lists who has them), and its cost in passes over all samples."
)
NOTE = (
    "A step is a forward and a backward pass; a gradient is of every single sample, or one jvp for "
    "each direction where directions are few, they do not fit into memory or the backend has none, "
    "or two forward passes where it has no jvp either. Test data and statistics of BatchNorm come "
    "on top."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_true", help="print everything, settings included, as JSON"
    )
    form.add_argument(
        "--markdown",
        action="store_true",
        help="print the tables of the documents: costs, and backends",
    )


def run(args: argparse.Namespace) -> None:
    """Print the list."""
    if args.json:
        print(json.dumps([_described(method) for method in METHODS], indent=2, ensure_ascii=False))
    elif args.markdown:
        print(f"{costs()}\n\n{on_backends(rows(default_registry()))}")
    else:
        print(f"{listed()}\n\n{legend()}\n{NOTE}")


def listed() -> str:
    """All ways to use all methods, in columns."""
    lines = [["method", "kind", "needs of the backend", "passes over the data"]]
    for method, way in _ways():
        lines.append([method.label(way), method.kind, ", ".join(way.needs) or "-", way.cost])
    return aligned(lines, right=False)


def legend() -> str:
    """The symbols of costs."""
    return "; ".join(f"{symbol}: {meaning}" for symbol, meaning in SYMBOLS.items()) + "."


def costs() -> str:
    """Costs as a Markdown table."""
    lines = [["method", "needs of the backend", "passes over the data"], ["---"] * 3]
    lines += [
        [f"`{method.label(way)}`", ", ".join(way.needs) or "–", way.cost] for method, way in _ways()
    ]
    return _markdown(lines)


def on_backends(backends: list[Row]) -> str:
    """A Markdown table of methods by backend, with the reason of each gap."""
    lines = [["method", *(f"`{row.name}`" for row in backends)], ["---"] * (len(backends) + 1)]
    for method, way in _ways():
        lines.append([f"`{method.label(way)}`", *(_cell(method, way, row) for row in backends)])
    return "\n".join(
        [_markdown(lines), "", *(f"- {line}" for row in backends for line in holes(row))]
    )


def holes(row: Row) -> list[str]:
    """The sentence on missing capabilities of a backend and methods that need them, or ""."""
    if row.can is None:
        return [f"`{row.name}` runs nothing here: {row.note}."]
    missed: dict[str, list[str]] = {}
    for method, way in _ways():
        for name in way.needs:
            if not row.can[name]:
                missed.setdefault(name, []).append(f"`{method.label(way)}`")
    told = "; ".join(f"no {name} for {', '.join(found)}" for name, found in missed.items())
    return [f"`{row.name}`: {row.limits or 'it does not define them'} ({told})."] if told else []


def _ways() -> list[tuple[Method, Way]]:
    return [(method, way) for method in METHODS for way in method.ways]


def _cell(method: Method, way: Way, row: Row) -> str:
    return "" if row.can is None else "yes" if all(row.can[name] for name in way.needs) else "–"


def _markdown(lines: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _described(method: Method) -> dict[str, Any]:
    ways = [
        {
            "use": method.label(way),
            "takes": way.takes,
            "needs": way.needs,
            "passes": {kind: str(number) for kind, number in way.passes.items()},
            "trainings": str(way.trainings or ""),
        }
        for way in method.ways
    ]
    settings = {f.name: None if f.default is MISSING else f.default for f in fields(method.cls)}
    return {
        "name": method.name,
        "kind": method.kind,
        "summary": method.summary,
        "settings": settings,
        "ways": ways,
    }
