"""How well the short run of heavy models ranks, beside the ensembles without a limit.

    python -m bench.studies.heavy_models --files FOLDER --cache MODELS
        --out docs/rows/heavy_models.jsonl

The nets, the data and the wrong labels are those of `ensembles_compared`: 3,000 samples, 10 % of
the labels moved to any other class. Its rows give the AP of the other ensembles on the same nets.
The settings of the short run were chosen on seeds 10 and 11 of the CNN and of TREC, on seeds 0
and 2 of the vision transformer, and on seeds 10 to 12 of `short_fine_tuning`. Seconds are CPU time
on one thread.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch

import gexcore as gx
from bench.studies.ensembles_problems import Problem
from bench.studies.noise_kinds import Cell
from bench.studies.rows import Row, parser, read, written
from bench.studies.tables import markdown
from gexcore.decisions.metrics import average_precision

KIND = "uniform:0.1"
CELLS = (
    Cell("mnist_cnn", "sgd", "memorised", KIND, 0),
    Cell("trec", "sgd", "memorised", KIND, 0),
    Cell("cifar", "sgd", "memorised", KIND, 0),
    Cell("mnist_vit", "adamw", "memorised", KIND, 1),
    Cell("mnist_mixer", "adamw", "memorised", KIND, 0),
)
COMPARED = Path(__file__).parents[2] / "docs" / "rows" / "ensembles.jsonl"
OTHERS = ("geometric, transition", "relearning, transition", "plain_loss")
EPOCHS = 12
"""Epochs of a short training."""


def rows(files: Path, cache: Path | None) -> Iterator[Row]:
    """One row for each net."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    before = {tuple(row[field] for field in Cell._fields): row for row in read([COMPARED])}
    for cell in CELLS:
        problem = Problem(cell, files, cache)
        model, _, training = problem.trained()
        x, labels, wrong = problem.given
        gx.Loss().fit(model, (x, labels), progress=False)  # imports and first calls are not timed
        started = time.process_time()
        found = gx.GEX(seed=cell.seed).fit(model, (x, labels), progress=False)
        seconds = time.process_time() - started
        yield {
            **cell._asdict(), "samples": len(labels), "epochs": problem.epochs,
            "training": round(training, 2), "seconds": round(seconds, 2),
            "passes": round(found.run.passes.epochs(len(labels)), 1),
            "members": len(found.losses), "ensemble": found.run.chosen["ensemble"],
            "ap": round(average_precision(found.suspicion(), wrong), 3),
            "plain": round(average_precision(found.checkpoint_losses, wrong), 3),
            "before": {name: before[tuple(cell)]["ap"][name] for name in OTHERS},
        }  # fmt: skip


def table(rows: list[Row]) -> str:
    """One line for each net."""
    lines = [
        [
            row["data"],
            f"{row['seconds'] / (row['training'] * EPOCHS / row['epochs']):.2f}",
            f"{row['passes']:.0f}",
            f"{row['ap']:.2f}",
            *(f"{row['before'][name]:.2f}" for name in OTHERS[:2]),
            f"{row['plain']:.2f}",
        ]
        for row in rows
    ]
    return markdown(
        [
            "net", "CPU ÷ 12 epochs", "passes", "AP of `GEX()`", "geometric, transition",
            "relearning, transition", "plain loss",
        ],
        lines,
    )  # fmt: skip


def main() -> int:
    made = parser(__doc__)
    made.add_argument("--files", type=Path, help="folder of the data")
    made.add_argument("--cache", type=Path, help="folder of nets that were trained before")
    args = made.parse_args()
    print(
        table(read(args.table) if args.table else written(rows(args.files, args.cache), args.out))
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
