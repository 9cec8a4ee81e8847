"""Runs the tasks of exhibits and keeps their rows: JSON lines, one as soon as it is there."""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from bench.paper.detectors import DETECTORS, LAST
from bench.paper.problem import Context
from bench.studies.rows import Row, commit, machine
from gexcore.backend.files import write_whole
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
    untold = {"backend": "torch", "variant": ""}
    return [{**untold, **json.loads(line)} for line in text.splitlines()]


def usual(rows: list[Row]) -> list[Row]:
    """The rows in PyTorch and without switches: those of the paper's recipes."""
    return [row for row in rows if row["backend"] == "torch" and not row["variant"]]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What of the exhibits is measured, and where the rows go."""

    names: tuple[str, ...]
    out: Path
    seeds: int | None = None
    methods: str = ""
    cells: str = ""

    def units(self, scale: str) -> list[tuple[int, str]]:
        """Seeds and exhibits in the order in which they run."""
        counts = {name: seeds_of(name, scale, self.seeds) for name in self.names}
        return [(seed, name) for seed in range(max(counts.values())) for name in self.names
                if seed < counts[name]]  # fmt: skip

    def tasks(self, context: Context, seed: int, name: str) -> Iterator[tuple[Row, Task]]:
        """The tasks of one exhibit and seed, each with its whole key."""
        cells = [cell.strip() for cell in self.cells.split(",") if cell.strip()]
        for task in exhibit(name).tasks(context, seed, self.methods):
            if not cells or task.key["cell"] in cells:
                yield {"scale": context.scale, "backend": context.backend,
                       "variant": context.variant, "seed": seed, **task.key}, task  # fmt: skip


def run(wanted: Wanted, context: Context, *, resume: bool, jobs: int = 1, threads: int = 1) -> None:
    """Measure everything, seed by seed; rows that are there stay with `resume`.

    Raises
    ------
    SystemExit
        If nothing could be measured.
    """
    wanted.out.mkdir(parents=True, exist_ok=True)
    forget(wanted, context, failed=resume)
    units, origin = wanted.units(context.scale), f"commit {commit()}, {machine()}"
    reasons: list[str] = []
    if jobs > 1:
        spawn = multiprocessing.get_context("spawn")
        told = (context.backend, threads)
        with ProcessPoolExecutor(jobs, spawn, set_threads, told) as pool:
            waiting = [pool.submit(part, wanted, context, *unit, origin) for unit in units]
            for done in waiting:
                reasons += done.result()
    else:
        for unit in units:
            reasons += part(wanted, context, *unit, origin, told=tuple(reasons))
    for name in wanted.names:
        sort(wanted.out, name)
    rows = [row for name in wanted.names for row in rows_of(wanted.out, name)]
    if reasons and all("not_run" in row for row in rows):
        raise SystemExit(f"nothing was measured: {reasons[0]}")


def set_threads(backend: str, threads: int) -> None:
    """The threads of PyTorch, where it is the framework."""
    if backend == "torch":
        import torch

        torch.set_num_threads(threads)


def part(
    wanted: Wanted,
    context: Context,
    seed: int,
    name: str,
    origin: str,
    *,
    told: tuple[str, ...] = (),
) -> list[str]:
    """The rows of one exhibit and seed that are not there yet; why any could not be measured.

    A reason that was `told` before is not told again.
    """
    known = [key_of(row) for row in rows_of(wanted.out, name)]
    reasons: list[str] = []
    for key, task in wanted.tasks(context, seed, name):
        if any(key.items() <= done.items() for done in known):
            continue
        for row in measured(task):
            whole = {k: v for k, v in {**key, **row, "measured": origin}.items() if v != ""}
            line = json.dumps(whole, ensure_ascii=False) + "\n"
            # one write, so that lines of other processes stay whole
            with file_of(wanted.out, name).open("ab", buffering=0) as file:
                file.write(line.encode())
        if row.get("not_run") not in (*told, *reasons):
            tell(name, key, row)
        if "not_run" in row:
            reasons.append(row["not_run"])
    return reasons


def forget(wanted: Wanted, context: Context, *, failed: bool) -> None:
    """Take away the rows that are about to be measured; with `failed`, only those that say why not.

    Rows of other switches stay.
    """
    own = {"scale": context.scale, "backend": context.backend, "variant": context.variant}
    for name in wanted.names:
        keys = [own]
        if wanted.methods or wanted.cells:
            units = [unit for unit in wanted.units(context.scale) if unit[1] == name]
            keys = [key for unit in units for key, _ in wanted.tasks(context, *unit)]
        left = [
            row
            for row in rows_of(wanted.out, name)
            if (failed and "not_run" not in row)
            or not any(key.items() <= key_of(row).items() for key in keys)
        ]
        put(wanted.out, name, left)


def sort(folder: Path, name: str) -> None:
    """Rows by switches, seed, data set and method, whatever the order in which they came."""
    rows = rows_of(folder, name)
    cells = list(dict.fromkeys([*getattr(exhibit(name), "CASES", ()), *(r["cell"] for r in rows)]))
    ranks = {row: rank for rank, row in enumerate([*DETECTORS, LAST])}

    def place(row: Row) -> tuple[Any, ...]:
        switches = row["backend"] != "torch", row["backend"], row["variant"]
        rank = ranks.get(row.get("row", ""), -1)
        return *switches, row["seed"], cells.index(row["cell"]), -row.get("percent", 0), rank

    put(folder, name, sorted(rows, key=place))


def put(folder: Path, name: str, rows: list[Row]) -> None:
    """The file of an exhibit with these rows; no file where there are none."""
    path = file_of(folder, name)
    if not rows:
        path.unlink(missing_ok=True)
        return
    lines = [json.dumps({k: v for k, v in row.items() if v != ""}, ensure_ascii=False) + "\n"
             for row in rows]  # fmt: skip
    write_whole(path, "".join(lines).encode())


def measured(task: Task) -> Iterator[Row]:
    """The rows of a task, or the reason why there are none."""
    started = time.process_time()
    try:
        found = task.measure()
    except (GexError, ArithmeticError, SystemExit) as error:
        yield {"not_run": str(error)}
        return
    rows = found if isinstance(found, list) else [found]
    each = (time.process_time() - started) / len(rows)
    for row in rows:
        yield {**row, "cpu": round(each, 2)}


def key_of(row: Row) -> Row:
    """What can tell a row from others: its words and whole numbers."""
    return {name: value for name, value in row.items() if isinstance(value, str | int)}


def tell(name: str, key: Row, row: Row) -> None:
    """Progress on standard error."""
    told = {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}
    short = {k: v for k, v in told.items() if not isinstance(v, list | dict)}
    print(f"{name} {key} {short}", file=sys.stderr, flush=True)
