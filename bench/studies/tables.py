"""Rows as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from bench.studies.rows import Row


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))


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
