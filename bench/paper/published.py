"""The numbers that the paper prints: one line for each, in published.jsonl."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("published.jsonl")

Key = tuple[str, str, str, str]
"""Table, row, column, metric."""


@cache
def published() -> dict[Key, tuple[float, float | None]]:
    """The value and what stands after ±, None where nothing does."""
    found = {}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        key = (row["table"], row["row"], row["column"], row["metric"])
        found[key] = (row["value"], row["spread"])
    return found


def printed(table: str, row: str, column: str, metric: str) -> str:
    """The number as printed; a dash where the paper has none."""
    found = published().get((table, row, column, metric))
    if found is None:
        return "–"
    value, spread = found
    return f"{value:.2f}" if spread is None else f"{value:.2f} ± {spread:.2f}"
