"""Rows as Markdown; puts the tables of committed rows into the pages.

    python -m bench.studies.tables --write

A page has a table between two marks: `<!-- rows: NAME -->`, or `<!-- rows: NAME by STUDY -->`, and
`<!-- end of rows -->`. The rows are docs/rows/NAME.jsonl. The study makes their table; without a
study they are the lines of the table. Every row says in "measured" when and how it was measured.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path

import numpy as np

from bench.studies.rows import Row, read

DOCS = Path(__file__).parents[2] / "docs"
MARKS = re.compile(
    r"(^<!-- rows: (\w+)(?: by (\w+))? -->\n).*?(^<!-- end of rows -->)", re.DOTALL | re.MULTILINE
)

LOAD = re.compile(r"(load average )(\d+(?:\.\d+)?)")


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table."""
    table = (head, ["---"] * len(head), *lines)
    return "\n".join("|".join(["", *(f" {c} " if c else " " for c in line), ""]) for line in table)


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Mean ± standard deviation; a dash where there is no value."""
    if not len(values):
        return "–"
    return f"{np.mean(values):.{digits}f} ± {np.std(values):.{digits}f}"


def quartiles(ratios: Sequence[float]) -> str:
    """Median, with the quartiles."""
    low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    return f"{middle:.2f} ({low:.2f} – {high:.2f})"


def groups(rows: Iterable[Row], *keys: str) -> dict[tuple[object, ...], list[Row]]:
    """Rows with equal keys together, in the order of their first."""
    found: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return found


def shown(name: str, study: str | None) -> str:
    """The table of committed rows, and when they were measured."""
    rows = read([DOCS / "rows" / f"{name}.jsonl"])
    table = import_module(f"bench.studies.{study}").table(rows) if study else as_printed(rows)
    return f"{table}\n\n{measured(rows)}"


def as_printed(rows: list[Row]) -> str:
    """Rows that are the lines of a table."""
    head = [name for name in rows[0] if name != "measured"]
    return markdown(head, ([row[name] for name in head] for row in rows))


def measured(rows: list[Row]) -> str:
    """When and how the rows were measured; where it differs, of which rows this is said."""
    noted: dict[str, list[Row]] = {}
    for row in rows:
        noted.setdefault(LOAD.sub(r"\1…", str(row["measured"])), []).append(row)
    parts = sorted(noted.items(), key=lambda part: -len(part[1]))
    usual, same = parts[0]
    lines = [f"*Measured: {_with_loads(usual, same)}.*"]
    for note, part in parts[1:]:
        note = _with_loads(note, part)
        names = ", ".join(
            dict.fromkeys(str(row.get("method", next(iter(row.values())))) for row in part)
        )
        lines.append(f"*Measured: {note}: {names}.*")
    return "\n".join(lines)


def _with_loads(note: str, rows: list[Row]) -> str:
    """The note, with the least and the most load of the machine at its place."""
    found = [float(load[2]) for row in rows if (load := LOAD.search(str(row["measured"])))]
    least, most = (min(found), max(found)) if found else (0.0, 0.0)
    return note.replace("…", f"{least:g}" if least == most else f"{least:g} to {most:g}", 1)


def page(text: str) -> str:
    """A page with its tables made anew."""
    return MARKS.sub(lambda found: f"{found[1]}\n{shown(found[2], found[3])}\n\n{found[4]}", text)


def main() -> int:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--write", action="store_true", help="without it pages are compared")
    write = arguments.parse_args().write
    stale = []
    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        new = page(text)
        if new != text:
            stale.append(path.name)
            if write:
                path.write_text(new, encoding="utf-8")
    told = "written" if write else "differ from their rows; run it with --write"
    print(f"{', '.join(stale)}: {told}" if stale else "all pages agree with their rows")
    return bool(stale) and not write


if __name__ == "__main__":
    sys.exit(main())
