"""Which score of one run ranks the wrong labels best: all views of the same tables of losses.

    python bench/tuning/views.py [--data digits,wine,breast_cancer] [--noise 0.1,0.3] [--seeds 3]
    [--out rows.jsonl]

The cells of `study.py`, memorised and stopped early, trained by SGD. Prints one line per run as it
finishes, then mean ± standard deviation of the average precision of every view.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from study import DATA, EPOCHS, Cell, load, train

import gexcore as gx
from gexcore.decisions.metrics import average_precision


def views(found: gx.LossInfluence) -> dict[str, NDArray[Any]]:
    """Every score of one run."""
    return {
        "suspicion()": found.suspicion(),
        "suspicion(clip=inf)": found.suspicion(clip=np.inf),
        "absolute_deviation()": found.absolute_deviation(),
        "absolute_deviation(ceiling=inf)": found.absolute_deviation(ceiling=np.inf),
        "self_influence()": found.self_influence(),
        "self_influence(ceiling=inf)": found.self_influence(ceiling=np.inf),
        'self_influence(center="ensemble")': found.self_influence(center="ensemble"),
        "self_influence(floor=0.05)": found.self_influence(floor=0.05),
        "checkpoint_losses": found.checkpoint_losses,
    }


def run(cell: Cell) -> dict[str, Any]:
    """Average precision of every view on one cell, and what the run says of itself."""
    x, y, wrong = load(cell)
    found = gx.GEX(seed=cell.seed).fit(
        train(x, y, cell=cell, seed=cell.seed), (x, y), progress=False
    )
    scores = {
        name: average_precision(np.nan_to_num(score, posinf=1e9), wrong)
        for name, score in views(found).items()
    }
    findings = {finding.name: finding.number for finding in found.diagnose()}
    agreement = {of: found.reliability(of=of) for of in ("suspicion", "self_influence")}
    return {
        **cell._asdict(),
        "members": len(found.table),
        "ap": scores,
        "findings": findings,
        "reliability": agreement,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Mean ± standard deviation over data and seeds."""
    names = list(rows[0]["ap"])
    groups = list(dict.fromkeys((row["fit"], row["noise"]) for row in rows))
    lines = ["| score | " + " | ".join(f"{fit}, {noise}" for fit, noise in groups) + " |"]
    lines.append("| --- " * (len(groups) + 1) + "|")
    for name in names:
        cells = [
            [row["ap"][name] for row in rows if (row["fit"], row["noise"]) == group]
            for group in groups
        ]
        lines.append(
            f"| `{name}` | "
            + " | ".join(f"{np.mean(c):.3f} ± {np.std(c):.3f}" for c in cells)
            + " |"
        )
    told = [
        sum("heavy_tail" in row["findings"] for row in rows if (row["fit"], row["noise"]) == g)
        for g in groups
    ]
    lines.append("| runs with `heavy_tail` | " + " | ".join(map(str, told)) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default=",".join(DATA))
    parser.add_argument("--noise", default="0.1,0.3")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="rows as JSON lines")
    arguments = parser.parse_args()
    rows = []
    for seed in range(arguments.seeds):
        for name in arguments.data.split(","):
            for fit in EPOCHS:
                for noise in arguments.noise.split(","):
                    rows.append(run(Cell(name, "sgd", fit, noise, seed)))
                    print(json.dumps(rows[-1]), flush=True)
                    if arguments.out:
                        with arguments.out.open("a") as file:
                            print(json.dumps(rows[-1]), file=file)
    print(
        f"\n{table(rows)}\n\nPython {platform.python_version()}, NumPy {np.__version__}, "
        f"{platform.machine()}"
    )


if __name__ == "__main__":
    main()
