"""Runs the tasks of exhibits and keeps their rows: JSON lines, one as soon as it is there."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from bench.paper.problem import Context
from bench.studies.rows import Row, commit, machine
from gexcore.errors import GexError

NAMES = (
    "table1", "table8", "table11", "table3", "table9", "table12", "table13", "table14", "table7",
    "table4", "table10", "table2", "table15", "table16", "table6", "figure1", "figures2_3",
    "figure4", "figure5",
)  # fmt: skip
"""In the order in which they run: what shares a training is together."""
FOUR_SEEDS = {"table1", "table3", "table8", "table11"}


class Task(NamedTuple):
    """A measurement that is not yet made.

    Parameters
    ----------
    key : dict
        What tells it from the others of its exhibit and seed.
    measure : callable
        Its values; a list where one measurement gives several rows.
    """

    key: Row
    measure: Callable[[], Row | list[Row]]


def exhibit(name: str) -> Any:
    """The module of an exhibit."""
    return import_module(f"bench.paper.exhibits.{name}")


def seeds_of(name: str, scale: str, asked: int | None) -> int:
    """How many seeds an exhibit runs."""
    if asked is not None:
        return asked
    return 1 if scale == "quick" else 4 if scale == "full" or name in FOUR_SEEDS else 2


def file_of(folder: Path, name: str) -> Path:
    """Where the rows of an exhibit are."""
    return folder / f"{name}.jsonl"


def rows_of(folder: Path, name: str) -> list[Row]:
    """The rows that an exhibit has so far."""
    path = file_of(folder, name)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [{"backend": "torch", **json.loads(line)} for line in text.splitlines()]


def run(
    names: list[str],
    context: Context,
    out: Path,
    *,
    seeds: int | None,
    methods: str,
    resume: bool,
    cells: str = "",
) -> None:
    """Measure everything, seed by seed; rows that are there stay with `resume`."""
    wanted = [cell.strip() for cell in cells.split(",") if cell.strip()]
    out.mkdir(parents=True, exist_ok=True)
    if not resume:
        for name in names:
            file_of(out, name).unlink(missing_ok=True)
    origin = f"commit {commit()}, {machine()}"
    known = {name: [key_of(row) for row in rows_of(out, name)] for name in names}
    most = max(seeds_of(name, context.scale, seeds) for name in names)
    for seed in range(most):
        for name in names:
            if seed >= seeds_of(name, context.scale, seeds):
                continue
            for task in exhibit(name).tasks(context, seed, methods):
                if wanted and task.key["cell"] not in wanted:
                    continue
                key = {"scale": context.scale, "backend": context.backend, "seed": seed, **task.key}
                if any(key.items() <= done.items() for done in known[name]):
                    continue
                for row in measured(task):
                    whole = {**key, **row, "measured": origin}
                    with file_of(out, name).open("a", encoding="utf-8") as file:
                        print(json.dumps(whole, ensure_ascii=False), file=file)
                tell(name, key, row)


def measured(task: Task) -> Iterator[Row]:
    """The rows of a task, or the reason why there are none."""
    started = time.process_time()
    try:
        found = task.measure()
    except (GexError, ArithmeticError, SystemExit) as error:
        yield {"not_run": str(error)}
        return
    for row in found if isinstance(found, list) else [found]:
        yield {**row, "cpu": round(time.process_time() - started, 2)}


def key_of(row: Row) -> Row:
    """What can tell a row from others: its words and whole numbers."""
    return {name: value for name, value in row.items() if isinstance(value, str | int)}


def tell(name: str, key: Row, row: Row) -> None:
    """Progress on standard error."""
    told = {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}
    short = {k: v for k, v in told.items() if not isinstance(v, list | dict)}
    print(f"{name} {key} {short}", file=sys.stderr, flush=True)
