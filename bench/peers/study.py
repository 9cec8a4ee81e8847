"""What finds wrong labels, at what cost: gexcore and its peers on the same trained models, data and
noise.

    python -m bench.peers.environments ENVIRONMENTS
    python -m bench.peers.study --data FOLDER --environments ENVIRONMENTS --work WORK [--problems
    digits:3,mnist:3,cifar]
                                [--methods GEX,EL2N] [--limit 900] [--page docs/peers.md]

A number after a problem is that of its seeds. Every method runs in its peer's environment and in a
process of its own, with one thread, after the other. Rows are kept in WORK: what is there is not
run again, and is in the table whatever --methods says. With --page the table is written into that
page.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers import case
from gexcore.decisions.metrics import average_precision

MODULES = {
    "with_gexcore": None, "by_hand": None, "with_captum": "captum", "with_kronfluence": "kronfluence",
    "with_pydvl": "pydvl", "with_dattri": "dattri", "with_cleanlab": "cleanlab",
}  # fmt: skip
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
BEGIN, END = "<!-- table -->", "<!-- end of table -->"


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


def table(found: list[dict[str, Any]]) -> str:
    """One row per problem and method, means over seeds, as Markdown."""
    lines = [
        "| method | AP | CPU seconds, % of training | memory, MB | lines |",
        "| --- | --- | --- | --- | --- |",
    ]
    for problem in dict.fromkeys(row["problem"] for row in found):
        part = [row for row in found if row["problem"] == problem]
        about = part[0]
        seeds = len({row["seed"] for row in part})
        fitted = np.mean([row["fitted"] for row in part])
        seconds = np.mean([row["training"] for row in part])
        told = (
            f"{seeds} seed{'s' if seeds > 1 else ''}, {fitted:.0%} of the noise fitted, training "
            f"{seconds:.0f} s"
        )
        lines.append(f"| **{case.TRAININGS[about['problem']].title}** ({told}) | | | | |")
        methods = dict.fromkeys(row["method"] for row in part)
        lines += [
            line([row for row in part if row["method"] == method], seeds) for method in methods
        ]
    return "\n".join(lines)


def line(rows: list[dict[str, Any]], seeds: int) -> str:
    """One method on one problem."""
    ran = [row for row in rows if "ap" in row]
    if not ran:
        why = rows[0]["error"].replace("|", "/")
        return f"| {rows[0]['method']} | {why} | | | {rows[0].get('lines', '')} |"
    ap = [row["ap"] for row in ran]
    spread = f" ± {np.std(ap):.3f}" if len(ap) > 1 else ""
    fewer = f" ({len(ran)} of {seeds} seeds)" if len(ran) < seeds else ""
    seconds = np.mean([row["seconds"] for row in ran])
    share = np.mean([row["seconds"] / row["training"] for row in ran])
    size = np.mean([row["bytes"] for row in ran]) / 1e6
    return (
        f"| {ran[0]['method']} | {np.mean(ap):.3f}{spread}{fewer} | {seconds:.3g}, "
        f"{share:.0%} | {size:.0f} | "
        f"{ran[0]['lines']} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--environments", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--problems", default=",".join(case.TRAININGS))
    parser.add_argument(
        "--methods", default="", help="parts of their names, with commas between; all without it"
    )
    parser.add_argument("--limit", type=int, default=3600, help="CPU seconds for a method")
    parser.add_argument("--page", type=Path, help="put the table between the marks of this page")
    arguments = parser.parse_args()
    case.torch.set_num_threads(1)
    found = []
    for asked in arguments.problems.split(","):
        problem, _, seeds = asked.partition(":")
        for seed in range(int(seeds or 1)):
            folder = arguments.work / f"{problem}_{seed}"
            if not (folder / "case.json").exists():
                case.write(problem, arguments.data, seed, folder)
            about = json.loads((folder / "case.json").read_text())
            wrong = np.load(folder / "data.npz")["wrong"]
            given = {
                "problem": problem,
                "seed": seed,
                "fitted": about["fitted"],
                "training": about["seconds"],
            }
            for module in MODULES:
                rows = [given | row for row in scored(rows_of(module, folder, arguments), wrong)]
                found += rows
                for row in rows:
                    print(json.dumps(row), file=sys.stderr, flush=True)
    print(table(found))
    if arguments.page:
        text = arguments.page.read_text()
        before, after = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
        arguments.page.write_text(f"{before}\n\n{table(found)}\n\n{after}")


if __name__ == "__main__":
    main()
