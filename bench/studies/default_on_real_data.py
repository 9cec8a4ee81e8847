"""The default against what is best in hindsight, and against what else finds wrong labels, on
images and text.

    python -m bench.studies.default_on_real_data --data FOLDER [--problems mnist,cifar,trec]
        [--optimizers sgd] [--fits memorised] [--noise 0,0.02,0.1,0.3,pair] [--seeds 3] [--paper 3]
        [--hindsight 1] [--folds 1] [--cache FOLDER] [--out rows.jsonl]

Rows are those of `default_on_small_data`, one per model, and so are their columns. "aggre" and
"worse" are CIFAR-10's labels as people gave them. For the first `--paper` seeds the paper's recipe
is tried, with 8 members of 100 steps, for the first `--hindsight` seeds fixed learning rates, and
for the first `--folds` seeds five more trainings, each without a fifth of the data. `--again
rows.jsonl …` works out again what GEX and the plain loss find in rows that were written before, for
the models in `--cache` or trained anew; `--table rows.jsonl …` only prints their tables.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch

import gexcore as gx
from bench.studies.found import COLUMNS, found_by_gex, found_in_hindsight, merged, precisions
from bench.studies.rows import Row, machine, parser, read, written
from bench.studies.tables import groups, markdown
from bench.studies.training import NOISE, PROBLEMS, Cell, Trained, epochs, load, train_cell, trained

FOLDS = 5


def fit(cell: Cell, model: torch.nn.Module, folder: Path, **settings: object) -> gx.LossInfluence:
    """GEX on the cell."""
    return gx.GEX(seed=cell.seed, **settings).fit(model, load(cell, folder)[:2], progress=False)


def ours(cell: Cell, known: Trained, folder: Path) -> Row:
    """What GEX and the plain loss find."""
    wrong = load(cell, folder).wrong
    started = time.process_time()
    usual = fit(cell, known.model, folder)
    seconds = time.process_time() - started
    capped = fit(cell, known.model, folder, pretraining_epochs=epochs(cell))
    found = found_by_gex(usual, capped, wrong, epochs=epochs(cell))
    return {
        **found,
        "wrong": float(wrong.mean()),
        "seconds": seconds,
        "training_seconds": known.seconds,
    }


def others(
    cell: Cell, known: Trained, folder: Path, *, paper: bool, hindsight: bool, folds: bool
) -> Row:
    """What is found by everything else, learning rates by the true mask among it."""
    x, y, wrong, classes = load(cell, folder)
    scores = {"EL2N (from scratch)": known.el2n}
    if paper:
        recipe = gx.GEX.paper(chains=8, steps=100, seed=cell.seed).fit(
            known.model, (x, y), progress=False
        )
        scores["paper's recipe, E2"] = np.nan_to_num(recipe.self_influence())
    if folds:
        learning = gx.ConfidentLearning(
            train=partial(train_cell, cell, classes=classes), folds=FOLDS, seed=cell.seed
        )
        scores["5-fold confident learning"] = learning.fit(data=(x, y), progress=False).suspicion()
    row: Row = {"ap": precisions(scores, wrong)}
    if not hindsight:
        return row
    return merged(
        row,
        found_in_hindsight(
            partial(fit, cell, known.model, folder), wrong, optimizer=cell.optimizer
        ),
    )


def work(arguments: argparse.Namespace) -> Iterator[Row]:
    """Rows as they get done."""
    folder, cache = arguments.data, arguments.cache
    for row in read(arguments.again or []):
        cell = Cell(*(row[name] for name in Cell._fields))
        yield merged(row, ours(cell, trained(cell, folder, cache), folder))
    if arguments.again:
        return
    problems, optimizers, fits, noises = (
        getattr(arguments, name).split(",") for name in ("problems", "optimizers", "fits", "noise")
    )
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        extra = {name: seed < getattr(arguments, name) for name in ("paper", "hindsight", "folds")}
        for noise, *rest in product(noises, problems, optimizers, fits):
            cell = Cell(*rest, noise, seed)
            known = trained(cell, folder, cache)
            row = {**cell._asdict(), **ours(cell, known, folder)}
            yield merged(row, others(cell, known, folder, **extra)) if "ap" in row else row


def mean(values: list[float]) -> str:
    """Mean ± standard deviation, where there are several."""
    if not values:
        return "–"
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values):.3f}" if len(values) > 1 else "")


def table(rows: list[Row]) -> str:
    """Average precision by problem, and what the thresholds decided."""
    parts = groups(rows, "data", "optimizer", "fit", "noise")
    names = [name for name in COLUMNS if any(name in row.get("ap", {}) for row in rows)]
    found, decisions = [], []
    for (name, optimizer, fit, noise), part in parts.items():
        cell = [str(name), f"{fit}, {optimizer}", str(noise)]
        if "ap" in part[0]:
            fitted = f"{np.mean([row['fitted'] for row in part]):.2f}"
            aps = [mean([row["ap"][n] for row in part if n in row["ap"]]) for n in names]
            found.append([*cell, str(len(part)), fitted, *aps])
        decided = [row for row in part if row["threshold"] != "refused"]

        def told(key: str, of: list[Row], digits: int = 0) -> str:
            values = [row[key] for row in of if row.get(key) is not None]
            return f"{np.mean(values):.{digits}f}" if values else "–"

        decisions.append([
            *cell, f"decided in {len(decided)} of {len(part)}",
                f"{max(row['flagged'] for row in part):.1%}",
            told("precision", decided, 2), told("recall", decided, 2), told("members", part),
            told("percent_of_pretraining", part), told("percent_capped", part),
            f"{told('seconds', part)} ({told('training_seconds', part)})",
        ])  # fmt: skip
    return "\n\n".join([
        markdown(("data", "model", "noise", "runs", "fitted", *names), found),
        markdown(
            ("data", "model", "noise", "threshold", "flagged", "precision", "recall", "members",
             "% of pretraining", "capped", "CPU s (training)"), decisions),
    ])  # fmt: skip


def main() -> None:
    arguments = parser(__doc__, seeds=3)
    arguments.add_argument("--data", type=Path, help="folder with mnist/, cifar10n/ and text/")
    arguments.add_argument("--problems", default=",".join(PROBLEMS))
    arguments.add_argument("--optimizers", default="sgd", help="sgd, adamw")
    arguments.add_argument("--fits", default="memorised", help="memorised, early")
    arguments.add_argument("--noise", default="0,0.02,0.1,0.3,pair", help=", ".join(NOISE))
    arguments.add_argument("--first-seed", type=int, default=0)
    for name, default in (("paper", 3), ("hindsight", 0), ("folds", 0)):
        arguments.add_argument(f"--{name}", type=int, default=default, help="seeds that try it")
    arguments.add_argument("--cache", type=Path, help="folder for the trained models")
    arguments.add_argument("--again", type=Path, nargs="+", help="work out again what GEX finds")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    rows = read(given.table) if given.table else written(work(given), given.out)
    print(f"\n{table(rows)}\n\n{machine()}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
