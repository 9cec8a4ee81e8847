"""The default against what is best in hindsight, and against what else finds wrong labels, on small
real data.

    python -m bench.studies.default_on_small_data [--data digits,wine,breast_cancer]
        [--optimizers sgd,adamw] [--noise 0,0.02,0.1,0.3,pair] [--fits memorised,early]
        [--backend numpy|sklearn] [--seeds 3] [--out rows.jsonl]

scikit-learn's own data and multilayer perceptrons. Prints one line per run as it finishes, then
tables over all runs. `--again rows.jsonl …` works out again what GEX and the plain loss find in
rows that were written before, `--table rows.jsonl …` only prints their tables.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import gexcore as gx
from bench.studies.found import COLUMNS, found_by_gex, found_in_hindsight, merged, precisions
from bench.studies.rows import Row, machine, parser, read, written
from bench.studies.small import EARLY, EPOCHS, NOISE, RATES, REAL, Cell, load, train, trained
from bench.studies.tables import markdown, spread

FOLDS = 5


def fit(cell: Cell, model: Any, **settings: Any) -> gx.LossInfluence:
    """GEX on the cell."""
    x, y, _ = load(cell)
    return gx.GEX(seed=cell.seed, **settings).fit(model, (x, y), progress=False)


def ours(cell: Cell, model: Any) -> Row:
    """What GEX finds, by its defaults and in hindsight."""
    wrong, epochs = load(cell).wrong, EPOCHS[cell.fit]
    found = found_by_gex(
        fit(cell, model), fit(cell, model, pretraining_epochs=epochs), wrong, epochs=epochs
    )
    if not wrong.any():
        return found
    return merged(
        found, found_in_hindsight(partial(fit, cell, model), wrong, optimizer=cell.optimizer)
    )


def run(cell: Cell, backend: str) -> Row:
    """Everything measured on one cell."""
    x, y, wrong = load(cell)
    recorder = gx.Recorder(samples=len(x))
    model = trained(cell, backend, recorder)
    row: Row = {**cell._asdict(), "backend": backend, **ours(cell, model)}
    if not wrong.any():
        return row
    paper = gx.GEX.paper(chains=8, steps=200, batch_size=min(32, len(x) // 4), seed=cell.seed)
    recipe = paper.fit(model, (x, y), progress=False)
    folds = gx.ConfidentLearning(
        train=lambda a, b, *, seed: train(a, b, cell=cell, seed=seed), folds=FOLDS, seed=cell.seed
    )
    early = np.nanmean(
        [
            gx.EL2N(recorder=recorder, epoch=e).fit().values
            for e in range(min(EARLY, EPOCHS[cell.fit]))
        ],
        axis=0,
    )
    scores = {
        "paper's recipe, E2": np.nan_to_num(recipe.self_influence()),
        "EL2N (from scratch)": early,
        "5-fold confident learning": folds.fit(data=(x, y), progress=False).suspicion(),
    }
    return merged(row, {"ap": precisions(scores, wrong)})


def again(row: Row) -> Row:
    """A row that was written before, with what GEX finds now."""
    cell = Cell(*(row[name] for name in Cell._fields))
    return merged(row, ours(cell, trained(cell, row["backend"])))


def table(rows: list[Row]) -> str:
    """AP by noise and fit, and what the targets of the default ask for."""
    noisy = [row for row in rows if "ap" in row]
    names = [name for name in COLUMNS if any(name in row["ap"] for row in noisy)]
    found = [
        [fit, noise, str(len(part)), *(spread([r["ap"][n] for r in part]) for n in names)]
        for fit, noise in product(EPOCHS, NOISE[1:])
        if (part := [row for row in noisy if (row["fit"], row["noise"]) == (fit, noise)])
    ]
    lines = [markdown(("model", "noise", "runs", *names), found), ""]
    if noisy:
        share = np.array([row["ap"]["GEX() suspicion"] / row["ap"]["oracle lr"] for row in noisy])
        lines.append(
            "- AP of the default ÷ AP of the best fixed learning rate: median "
            f"{np.median(share):.3f}, worst {share.min():.3f}, {(share < 0.85).sum()} below 0.85"
        )
        for name, key in (
            ("GEX() suspicion", "findings"),
            ("GEX(pretraining_epochs=…)", "capped_findings"),
        ):
            below = [row for row in noisy if row["ap"][name] < row["ap"]["plain loss"] - 0.02]
            told = sum("not_memorised" in row[key] or "few_members" in row[key] for row in below)
            lines.append(
                f"- {name}: below plain loss by more than .02 in {len(below)} of {len(noisy)} "
                f"runs, of which diagnose() warned in {told}"
            )
    for fit, noise in product(EPOCHS, NOISE):
        part = [row for row in rows if (row["fit"], row["noise"]) == (fit, noise)]
        decided = [row for row in part if row["threshold"] != "refused"]
        if part:
            told = f"- {fit}, noise {noise}: threshold decided in {len(decided)} of {len(part)}"
            if noise == "0":
                told += f", flagged at most {max(row['flagged'] for row in part):.1%}"
            elif decided:
                p, r = (
                    np.mean([row[key] or 0.0 for row in decided]) for key in ("precision", "recall")
                )
                told += f", precision {p:.2f}, recall {r:.2f}"
            lines.append(told)
    part = [row for row in rows if row["fit"] == "memorised"]
    if part:
        usual, capped = (
            np.median([row[key] for row in part])
            for key in ("percent_of_pretraining", "percent_capped")
        )
        most = max(row["percent_capped"] for row in part)
        lines.append(
            f"- cost, memorised: median {usual:.0f} % of pretraining; with "
            f"pretraining_epochs given {capped:.0f} %, at most {most:.0f} %"
        )
    return "\n".join(lines)


def main() -> None:
    arguments = parser(__doc__, seeds=3)
    choices = {"data": REAL, "optimizers": RATES, "noise": NOISE, "fits": EPOCHS}
    for flag, default in choices.items():
        arguments.add_argument(f"--{flag}", default=",".join(default))
    arguments.add_argument("--backend", default="numpy", choices=("numpy", "sklearn"))
    arguments.add_argument("--again", type=Path, nargs="+", help="work out again what GEX finds")
    given = arguments.parse_args()
    lists = [getattr(given, name).split(",") for name in ("data", "fits", "optimizers", "noise")]
    cells = (
        Cell(name, optimizer, fit, noise, seed)
        for seed, name, fit, optimizer, noise in product(range(given.seeds), *lists)
    )
    work = (
        map(again, read(given.again))
        if given.again
        else (run(cell, given.backend) for cell in cells)
    )
    print(f"{table(read(given.table) if given.table else written(work, given.out))}\n\n{machine()}")


if __name__ == "__main__":
    main()
