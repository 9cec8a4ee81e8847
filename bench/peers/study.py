"""What finds wrong labels, at what cost: gexcore and its peers on the same trained models, data and
noise.

    python -m bench.peers.environments ENVIRONMENTS
    python -m bench.peers.study --data FOLDER --environments ENVIRONMENTS --work WORK [--problems
    digits:3,mnist:3,cifar]
                                [--methods GEX,EL2N] [--limit 900] [--out rows.jsonl]

A number after a problem is that of its seeds. Every method runs in its peer's environment and in a
process of its own, with one thread, after the other. Rows are kept in WORK: what is there is not
run again, and is in the table whatever --methods says.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers import case
from bench.studies.rows import Row, machine, parser, read, written
from bench.studies.tables import groups, markdown, spread
from gexcore.decisions.metrics import average_precision

MODULES = {
    "with_gexcore": None, "by_hand": None, "with_captum": "captum",
        "with_kronfluence": "kronfluence",
    "with_pydvl": "pydvl", "with_dattri": "dattri", "with_cleanlab": "cleanlab",
}  # fmt: skip
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def rows_of(module: str, folder: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each method of a peer that is asked for; from an earlier run if there was one."""
    kept = folder / f"{module}.json"
    rows = list(json.loads(kept.read_text())) if kept.exists() else []
    known = [row["method"] for row in rows]
    for name in names(module):
        if name not in known and any(part in name for part in arguments.methods.split(",")):
            rows.append(row_of(name, module, folder, arguments))
            kept.write_text(json.dumps(rows))
    return rows


def row_of(name: str, module: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Of one method, in a process of its own."""
    environment = MODULES[module]
    python = (
        sys.executable
        if environment is None
        else str(arguments.environments / environment / "bin" / "python")
    )
    command = [
        python,
        "-m",
        "bench.peers.one",
        module,
        str(folder),
        name,
        str(arguments.limit),
    ]
    with (folder / f"{module}.log").open("a") as errors:
        try:
            variables = {**os.environ, **ONE_THREAD}
            done = subprocess.run(
                command, env=variables, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        except FileNotFoundError:
            return {"method": name, "error": "not installed"}
    found = [json.loads(line[4:]) for line in done.stdout.splitlines() if line.startswith("ROW ")]
    if found:
        return dict(found[0])
    if done.returncode == -signal.SIGXCPU:
        return {
            "method": name,
            "error": f"stopped after {arguments.limit / 60:.0f} min of CPU time",
        }
    if done.returncode == -signal.SIGKILL:
        return {"method": name, "error": "does not run: the process was killed"}
    return {"method": name, "error": f"does not run: the process ended with {done.returncode}"}


def names(module: str) -> list[str]:
    """The methods of a module, without importing the peer."""
    source = Path(__file__).with_name(f"{module}.py").read_text()
    listed = source[source.index("METHODS = {") :]
    return [part for number, part in enumerate(listed.split('"')) if number % 2]


def scored(rows: list[dict[str, Any]], wrong: Any) -> list[dict[str, Any]]:
    """The rows with average precision in place of the scores."""
    for row in rows:
        scores = np.array(row.pop("scores", []), dtype=float)
        if len(scores) and not np.isfinite(scores).any():
            row["error"] = "does not run: not one finite score"
        elif len(scores):
            row["ap"] = average_precision(
                np.nan_to_num(scores, nan=scores[np.isfinite(scores)].min()), wrong
            )
    return rows


def table(found: list[Row]) -> str:
    """One line for each problem and method, means over seeds."""
    lines = []
    for (problem,), part in groups(found, "problem").items():
        seeds = len({row["seed"] for row in part})
        about = (
            f"{seeds} seed{'s' if seeds > 1 else ''}, "
            f"{np.mean([row['fitted'] for row in part]):.0%} of the noise fitted, training "
            f"{np.mean([row['training'] for row in part]):.0f} s"
        )
        lines.append([f"**{case.TRAININGS[str(problem)].title}** ({about})", "", "", "", ""])
        lines += [line(rows, seeds) for rows in groups(part, "method").values()]
    return markdown(("method", "AP", "CPU seconds, % of training", "memory, MB", "lines"), lines)


def line(rows: list[Row], seeds: int) -> list[str]:
    """One method on one problem."""
    ran = [row for row in rows if "ap" in row]
    first = rows[0]
    if not ran:
        why = first["error"].replace("|", "/")
        return [first["method"], why, "", "", str(first.get("lines", ""))]
    ap = [row["ap"] for row in ran]
    fewer = f" ({len(ran)} of {seeds} seeds)" if len(ran) < seeds else ""
    seconds, share, size = (
        np.mean(values)
        for values in zip(
            *(
                (row["seconds"], row["seconds"] / row["training"], row["bytes"] / 1e6)
                for row in ran
            ),
            strict=True,
        )
    )
    return [
        first["method"],
        (spread(ap) if len(ap) > 1 else f"{ap[0]:.3f}") + fewer,
        f"{seconds:.3g}, {share:.0%}",
        f"{size:.0f}",
        str(first["lines"]),
    ]


def rows_by(given: argparse.Namespace) -> Iterator[Row]:
    """All rows that are asked for."""
    for asked in given.problems.split(","):
        problem, _, seeds = asked.partition(":")
        for seed in range(int(seeds or 1)):
            folder = given.work / f"{problem}_{seed}"
            if not (folder / "case.json").exists():
                case.write(problem, given.data, seed, folder)
            about = json.loads((folder / "case.json").read_text())
            wrong = np.load(folder / "data.npz")["wrong"]
            known = {"problem": problem, "seed": seed, "fitted": about["fitted"]}
            known["training"] = about["seconds"]
            for module in MODULES:
                yield from (known | row for row in scored(rows_of(module, folder, given), wrong))


def main() -> None:
    arguments = parser(__doc__)
    for name in ("data", "environments", "work"):
        arguments.add_argument(f"--{name}", type=Path)
    arguments.add_argument("--problems", default=",".join(case.TRAININGS))
    arguments.add_argument("--methods", default="", help="parts of names; all without it")
    arguments.add_argument("--limit", type=int, default=3600, help="CPU seconds for a method")
    given = arguments.parse_args()
    case.torch.set_num_threads(1)
    rows = read(given.table) if given.table else written(rows_by(given), given.out)
    print(f"\n{table(rows)}\n\n{machine()}")


if __name__ == "__main__":
    main()
