"""The default against what is best in hindsight, and against what else finds wrong labels, on
images and text.

    python bench/real/study.py --data FOLDER [--problems mnist,cifar,trec] [--optimizers sgd]
    [--fits memorised]
                               [--noise 0,0.02,0.1,0.3,pair] [--seeds 3] [--paper 3] [--hindsight 1]
                               [--folds 1] [--cache FOLDER] [--out rows.jsonl]

Rows are those of `bench/tuning/study.py`, one per model, and so are their columns. "aggre" and
"worse" are CIFAR-10's labels as people gave them. For the first `--paper` seeds the paper's recipe
is tried, with 8 members of 100 steps, for the first `--hindsight` seeds fixed learning rates, and
for the first `--folds` seeds five more trainings, each without a fifth of the data. `--again
rows.jsonl …` works out again what GEX and the plain loss find in rows that were written before, for
the models in `--cache` or trained anew; `--table rows.jsonl …` only prints their tables.
`--weight-decay` is that of the members of GEX, instead of its own choice.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from trained import NOISE, PROBLEMS, Cell, Trained, epochs, load, train, trained

import gexcore as gx

sys.path.append(str(Path(__file__).parent.parent / "tuning"))

from rows import Row, found_by_gex, found_in_hindsight, merged, precisions, read, written
from tables import tables

FOLDS = 5


def fit(cell: Cell, model: torch.nn.Module, folder: Path, **settings: Any) -> gx.LossInfluence:
    """GEX on the cell."""
    own = {"optimizer": cell.optimizer, "seed": cell.seed, **settings}
    return gx.GEX(**own).fit(model, load(cell, folder)[:2], progress=False)


def ours(cell: Cell, known: Trained, folder: Path, **settings: Any) -> Row:
    """What GEX and the plain loss find."""
    wrong = load(cell, folder).wrong
    started = time.process_time()
    usual = fit(cell, known.model, folder, **settings)
    seconds = time.process_time() - started
    capped = fit(cell, known.model, folder, pretraining_epochs=epochs(cell), **settings)
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
            train=partial(train, cell, classes=classes), folds=FOLDS, seed=cell.seed
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
    settings = {} if arguments.weight_decay is None else {"weight_decay": arguments.weight_decay}
    for row in read(arguments.again or []):
        cell = Cell(*(row[name] for name in Cell._fields))
        yield merged(row, ours(cell, trained(cell, folder, cache), folder, **settings))
    if arguments.again:
        return
    problems, optimizers, fits, noises = (
        getattr(arguments, name).split(",") for name in ("problems", "optimizers", "fits", "noise")
    )
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        extra = {name: seed < getattr(arguments, name) for name in ("paper", "hindsight", "folds")}
        for cell in (
            Cell(d, o, f, noise, seed)
            for noise in noises
            for d in problems
            for o in optimizers
            for f in fits
        ):
            known = trained(cell, folder, cache)
            row = {**cell._asdict(), **ours(cell, known, folder, **settings)}
            yield merged(row, others(cell, known, folder, **extra)) if "ap" in row else row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with mnist/, cifar10n/ and text/")
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    parser.add_argument("--optimizers", default="sgd", help="sgd, adamw")
    parser.add_argument("--fits", default="memorised", help="memorised, early")
    parser.add_argument("--noise", default="0,0.02,0.1,0.3,pair", help=", ".join(NOISE))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--paper", type=int, default=3, help="seeds for which the paper's recipe is tried"
    )
    parser.add_argument(
        "--hindsight", type=int, default=0, help="seeds for which fixed learning rates are tried"
    )
    parser.add_argument(
        "--folds", type=int, default=0, help="seeds for which cross-validation is tried"
    )
    parser.add_argument("--cache", type=Path, help="folder for the trained models")
    parser.add_argument("--out", type=Path, help="rows as JSON lines, each as soon as it is there")
    parser.add_argument(
        "--again", type=Path, nargs="+", help="work out again what GEX finds in these rows"
    )
    parser.add_argument("--table", type=Path, nargs="+", help="print the tables of these rows")
    parser.add_argument("--weight-decay", type=float, help="of the members of GEX")
    arguments = parser.parse_args()
    if arguments.table:
        print(tables(read(arguments.table)))
        return
    torch.set_num_threads(1)
    rows = written(work(arguments), arguments.out)
    print(f"\n{platform.machine()}, one thread, torch {torch.__version__}\n\n{tables(rows)}")


if __name__ == "__main__":
    main()
