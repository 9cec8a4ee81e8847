"""Tables of `ensembles_compared`."""

from __future__ import annotations

from bench.studies.rows import Row


def table(rows: list[Row]) -> str:
    """The tables."""
    return f"{len(rows)} rows"
