"""Every method of gexcore on the same two memorised models: how well it finds wrong labels, and
what it costs.

    python -m bench.studies.methods_compared [--problem digits|mnist] [--data FOLDER] [--seeds 3]
        [--first 0] [--methods NAME,…] [--out rows.jsonl]

One problem at a time: digits is NumPy's, mnist PyTorch's (and needs --data). Prints one line per
score as it is there, then a table with mean ± standard deviation over seeds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np

import gexcore as gx
from bench.studies.methods import METHODS, Method
from bench.studies.recorded import Trained
from bench.studies.rows import Row, machine, parser, read, written
from bench.studies.tables import groups, markdown, spread
from gexcore.decisions.metrics import auc, average_precision
from gexcore.errors import GexError

PROBLEMS = ("digits", "mnist")
HEAD = ("method", "score", "needs", "AUC", "AP", "CPU seconds", "passes", "runs")


def rows(problem: str, folder: Path | None, seed: int, methods: list[Method]) -> Iterator[Row]:
    """One training, every method."""
    t = import_module(f"bench.studies.recorded_{problem}").trained(folder, seed)
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
            "view": view, "auc": auc(finite, wrong),
                "ap": average_precision(finite, wrong) if positions is None else None,
            "scored": len(finite), "seconds": seconds, "passes": passes, **more,
        }  # fmt: skip


def table(rows: list[Row]) -> str:
    """Mean ± standard deviation over seeds, best AUC first within each problem."""
    parts = []
    for (problem,), own in groups(rows, "problem").items():
        same = list(groups(own, "method", "view").values())
        ran = [group for group in same if any("auc" in row for row in group)]
        ran.sort(key=lambda group: -np.mean([row["auc"] for row in group if "auc" in row]))
        lines = [line(group) for group in (*ran, *(group for group in same if group not in ran))]
        parts.append(f"### {problem}\n\n{about(own)}\n\n{markdown(HEAD, lines)}\n")
    return "\n".join(parts)


def about(rows: list[Row]) -> str:
    first = rows[0]
    seeds = len({row["seed"] for row in rows})
    fitted = [row["noise_fitted"] for row in rows]
    seconds = [row["training_seconds"] for row in rows]
    return (
        f"{first['samples']:,} samples, {np.mean([row['wrong'] for row in rows]):.1%} wrong "
        f"labels, of which the model has fitted {min(fitted):.2f} – {max(fitted):.2f}; the "
        f"training took {first['training_passes']} passes, {min(seconds):.0f} – {max(seconds):.0f} "
        f"s of CPU time; {seeds} seeds."
    )


def line(group: list[Row]) -> list[str]:
    """One score of one method."""
    done = [row for row in group if "auc" in row]
    first = group[0]
    start = [f"`{first['method']}`", first["view"] or "–", first["needs"]]
    if not done:
        return [*start, f"not run: {first['not_run'].split(';')[0]}", "", "", "", "0"]
    part = "" if done[0]["scored"] == done[0]["samples"] else f" (on {done[0]['scored']} samples)"
    ap = [row["ap"] for row in done if row["ap"] is not None]
    cost = [
        f"{np.mean([r['seconds'] for r in done]):.1f}",
        f"{np.mean([r['passes'] for r in done]):.0f}",
    ]
    return [*start, spread([row["auc"] for row in done]) + part, spread(ap), *cost, str(len(done))]


def main() -> None:
    arguments = parser(__doc__, seeds=3)
    arguments.add_argument("--problem", choices=PROBLEMS, default="digits")
    arguments.add_argument("--data", type=Path, help="folder with mnist/")
    arguments.add_argument("--first", type=int, default=0, help="the first seed")
    arguments.add_argument("--methods", default="", help="parts of names, with commas between")
    given = arguments.parse_args()
    methods = [m for m in METHODS if any(part in m.name for part in given.methods.split(","))]
    work = (
        row
        for seed in range(given.first, given.first + given.seeds)
        for row in rows(given.problem, given.data, seed, methods)
    )
    found = read(given.table) if given.table else written(work, given.out)
    print(f"\n{table(found)}\n{machine()}")


if __name__ == "__main__":
    main()
