"""Every method of gexcore on the same two memorised models: how well it finds wrong labels, and
what it costs.

    python bench/methods/study.py [--problem digits|mnist] [--data FOLDER] [--seeds 3] [--first 0]
    [--methods NAME,…]
                                  [--out rows.jsonl]
    python bench/methods/study.py --table rows.jsonl …

One problem at a time: digits is NumPy's, mnist PyTorch's (and needs --data). Prints one line per
score as it is there, then a table with mean ± standard deviation over seeds.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from methods import METHODS, Method
from trained import Trained

import gexcore as gx
from gexcore.decisions.metrics import auc, average_precision
from gexcore.errors import GexError

Row = dict[str, Any]
PROBLEMS = ("digits", "mnist")


def rows(problem: str, folder: Path | None, seed: int, methods: list[Method]) -> Iterator[Row]:
    """One training, every method."""
    t = import_module(problem).trained(folder, seed)
    losses = gx.Loss().fit(t.model, (t.x, t.labels)).values
    common: Row = {
        "problem": problem, "seed": seed, "samples": len(t.x), "wrong": float(t.wrong.mean()),
        "noise_fitted": float((losses[t.wrong] < np.log(2)).mean()), "training_seconds": t.seconds,
        "training_passes": 3 * t.epochs,
    }  # fmt: skip
    for method in methods:
        for row in measured(method, t, problem, seed):
            yield {**common, "method": method.name, "needs": method.needs, **row}


def measured(method: Method, t: Trained, problem: str, seed: int) -> Iterator[Row]:
    """The scores of one method, or why there are none."""
    if method.only not in ("", problem):
        yield {"view": "", "not_run": method.instead}
        return
    started = time.process_time()
    try:
        scored, passes, more = method.run(t, seed)
    except Exception as error:  # a study of hours does not end for one method
        told = (
            str(error)
            if isinstance(error, GexError)
            else f"failed with {type(error).__name__}: {error}"
        )
        yield {"view": "", "not_run": told}
        return
    seconds = time.process_time() - started
    for view, scores, positions in scored:
        wrong = t.wrong if positions is None else t.wrong[positions]
        finite = np.nan_to_num(scores, nan=float(np.nanmin(scores)), posinf=1e30, neginf=-1e30)
        yield {
            "view": view, "auc": auc(finite, wrong), "ap": average_precision(finite, wrong) if positions is None else None,
            "scored": len(finite), "seconds": seconds, "passes": passes, **more,
        }  # fmt: skip


def table(rows: list[Row]) -> str:
    """Mean ± standard deviation over seeds, as Markdown, best AUC first within each problem."""
    parts = []
    for problem in dict.fromkeys(row["problem"] for row in rows):
        own = [row for row in rows if row["problem"] == problem]
        groups = [
            [row for row in own if (row["method"], row["view"]) == key]
            for key in dict.fromkeys((row["method"], row["view"]) for row in own)
        ]
        ran = [group for group in groups if any("auc" in row for row in group)]
        ran.sort(key=lambda group: -np.mean([row["auc"] for row in group if "auc" in row]))
        parts.append(f"### {problem}\n\n{about(own)}\n")
        parts.append(
            "| method | score | needs | AUC | AP | CPU seconds | passes | runs |\n"
            "| --- | --- | --- | --- | --- | --- | --- | --- |"
        )
        parts += [line(group) for group in ran] + [
            line(group) for group in groups if group not in ran
        ]
        parts.append("")
    return "\n".join(parts)


def about(rows: list[Row]) -> str:
    first = rows[0]
    seeds = len({row["seed"] for row in rows})
    fitted = [row["noise_fitted"] for row in rows]
    seconds = [row["training_seconds"] for row in rows]
    return (
        f"{first['samples']:,} samples, {np.mean([row['wrong'] for row in rows]):.1%} wrong "
        "labels, of which the model has fitted "
        f"{min(fitted):.2f} – {max(fitted):.2f}; the training took "
        f"{first['training_passes']} passes, {min(seconds):.0f} – "
        f"{max(seconds):.0f} s of CPU time; {seeds} seeds."
    )


def line(group: list[Row]) -> str:
    done = [row for row in group if "auc" in row]
    first = group[0]
    start = f"| `{first['method']}` | {first['view'] or '–'} | {first['needs']} |"
    if not done:
        return f"{start} not run: {first['not_run'].split(';')[0]} | | | | 0 |"

    def told(name: str, digits: int) -> str:
        values = [row[name] for row in done]
        if None in values:
            return "–"
        return f"{np.mean(values):.{digits}f} ± {np.std(values):.{digits}f}"

    part = "" if done[0]["scored"] == done[0]["samples"] else f" (on {done[0]['scored']} samples)"
    cost = (
        f"{np.mean([r['seconds'] for r in done]):.1f} | {np.mean([r['passes'] for r in done]):.0f}"
    )
    return f"{start} {told('auc', 3)}{part} | {told('ap', 3)} | {cost} | {len(done)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problem", choices=PROBLEMS, default="digits")
    parser.add_argument("--data", type=Path, help="folder with mnist/")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument(
        "--methods", help="parts of names, separated by commas; all where not given"
    )
    parser.add_argument("--out", type=Path, help="rows as JSON lines, each as soon as it is there")
    parser.add_argument("--table", type=Path, nargs="+", help="print the tables of these rows")
    arguments = parser.parse_args()
    if arguments.table:
        print(
            table(
                [
                    json.loads(line)
                    for path in arguments.table
                    for line in path.read_text().splitlines()
                ]
            )
        )
        return
    parts = (arguments.methods or "").split(",")
    methods = [method for method in METHODS if any(part in method.name for part in parts)]
    found: list[Row] = []
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        for row in rows(arguments.problem, arguments.data, seed, methods):
            found.append(row)
            print(json.dumps(row), flush=True)
            if arguments.out:
                with arguments.out.open("a") as file:
                    print(json.dumps(row), file=file)
    print(
        f"\n{table(found)}\nPython {platform.python_version()}, NumPy {np.__version__}, "
        f"{platform.machine()}"
    )


if __name__ == "__main__":
    main()
