"""Which score of one run ranks the wrong labels best: all views of the same tables of losses.

    python -m bench.studies.views_of_one_run [--data digits,wine,breast_cancer] [--noise 0.1,0.3]

The cells of `default_on_small_data`, memorised and stopped early, trained by SGD. Prints one line
per run as it finishes, then mean ± standard deviation of the average precision of every view.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gexcore as gx
from bench.studies.rows import Row, machine, parser, read, written
from bench.studies.small import EPOCHS, REAL, Cell, load, train
from bench.studies.tables import groups, markdown, spread
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


def run(cell: Cell) -> Row:
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


def table(rows: list[Row]) -> str:
    """Mean ± standard deviation over data and seeds."""
    parts = groups(rows, "fit", "noise")
    lines = [
        [f"`{name}`", *(spread([row["ap"][name] for row in part]) for part in parts.values())]
        for name in rows[0]["ap"]
    ]
    heavy = [str(sum("heavy_tail" in row["findings"] for row in part)) for part in parts.values()]
    return markdown(
        ("score", *(f"{fit}, {noise}" for fit, noise in parts)),
        [*lines, ["runs with `heavy_tail`", *heavy]],
    )


def main() -> None:
    arguments = parser(__doc__, seeds=3)
    arguments.add_argument("--data", default=",".join(REAL))
    arguments.add_argument("--noise", default="0.1,0.3")
    given = arguments.parse_args()
    work = (
        run(Cell(name, "sgd", fit, noise, seed))
        for seed, name, fit, noise in product(
            range(given.seeds), given.data.split(","), EPOCHS, given.noise.split(",")
        )
    )
    rows = read(given.table) if given.table else written(work, given.out)
    print(f"\n{table(rows)}\n\n{machine()}")


if __name__ == "__main__":
    main()
