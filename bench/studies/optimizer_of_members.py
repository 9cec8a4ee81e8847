"""Members that relearn by AdamW, as the training did, or by SGD.

    python -m bench.studies.optimizer_of_members --files FOLDER [--data digits,ag_news]
        [--seeds 2] [--first 0] [--out rows.jsonl]

Models that AdamW trained until they fitted their wrong labels, a tenth of all: perceptrons on
digits, USPS, AG News and TREC with 50 classes, the transformer of `bench.studies.short_fine_tuning`
and nets of `bench.studies.ensembles_compared`. `GEX()` takes `Relearning()` as it is for light
models only, see `gexcore.ensembles.heavy`. Members step by SGD or by AdamW, each with its own
search, or by AdamW with the learning rate of the training. Prints one line per run as it finishes,
then the table; `--table rows.jsonl …` only prints the table of rows that were written before.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import gexcore as gx
from bench.studies.ensembles_problems import NET_RATE, NET_RATES, Problem
from bench.studies.found import precisions
from bench.studies.noise_kinds import Cell
from bench.studies.rows import Row, machine, parser, read, written
from bench.studies.short_fine_tuning import LR, tuned
from bench.studies.small import RATES
from bench.studies.tables import groups, markdown
from gexcore.ensembles.heavy import is_heavy
from gexcore.evaluation.opening import opened

DATA = ("digits", "usps", "ag_news", "trec50", "transformer", "trec", "mnist_vit")
MEMBERS = {
    "SGD, searched": lambda lr, seed: gx.Relearning(seed=seed),
    "AdamW, searched": lambda lr, seed: gx.Relearning(optimizer="adamw", seed=seed),
    "AdamW, rate of the training": lambda lr, seed: gx.Relearning(
        optimizer="adamw", lr=lr, seed=seed
    ),
}


def trained(name: str, seed: int, files: Path) -> tuple[Any, Any, NDArray[np.bool_], float]:
    """A model, its data, which labels are wrong, and the learning rate of the training."""
    if name == "transformer":
        model, data, wrong = tuned(seed)
        return model, data, wrong, LR
    problem = Problem(Cell(name, "adamw", "memorised", "uniform:0.1", seed), files)
    x, labels, wrong = problem.given
    rates = NET_RATES["adamw"].get(name, NET_RATE["adamw"]) if problem.is_net else RATES["adamw"]
    return problem.trained()[0], (x, labels), wrong, rates


def runs(names: list[str], seeds: range, files: Path) -> Iterator[Row]:
    """AP of each kind of members."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for seed in seeds:
        for name in names:
            model, data, wrong, rate = trained(name, seed, files)
            heavy = is_heavy(opened(model, data, progress=False))
            for members, ensemble in MEMBERS.items():
                found = gx.GEX(ensemble=ensemble(rate, seed)).fit(model, data, progress=False)
                scores = {"suspicion": found.suspicion(), "plain": found.checkpoint_losses}
                chosen, plain = found.run.chosen, found.checkpoint_losses
                yield {
                    "data": name, "seed": seed, "members": members, "heavy": heavy,
                    "fitted": float((plain[wrong] < np.log(2)).mean()),
                    "ap": precisions(scores, wrong), "count": len(found.table),
                    "first_lr": chosen["first_lr"], "scale": chosen["scale"],
                    "passes": round(found.run.passes.epochs(len(wrong)), 1),
                }  # fmt: skip


def table(rows: list[Row]) -> str:
    """AP of each seed, and the means over light and heavy models."""
    lines = []
    for (name, heavy), part in groups(rows, "data", "heavy").items():
        about = f"{name}, {'heavy' if heavy else 'light'}"
        plain = {row["seed"]: row["ap"]["plain"] for row in part}
        lines.append([about, "plain loss", *_told(list(plain.values())), "", "", ""])
        for (members,), own in groups(part, "members").items():
            scales = sorted({row["scale"] for row in own})
            rates = [row["first_lr"] for row in own]
            least, most = min(rates), max(rates)
            lines.append(
                [
                    about, str(members), *_told([r["ap"]["suspicion"] for r in own]),
                    f"{least:.2g}" if least == most else f"{least:.2g} to {most:.2g}",
                    ", ".join(f"{scale:g}" for scale in scales),
                    f"{np.mean([row['passes'] for row in own]):.0f}",
                ]
            )  # fmt: skip
    head = ["model", "members", "AP of each seed", "mean", "first learning rate", "scale", "passes"]
    means = []
    for (heavy, members), own in groups(rows, "heavy", "members").items():
        by_data = groups(own, "data").values()
        values = [np.mean([row["ap"]["suspicion"] for row in part]) for part in by_data]
        kind = "heavy" if heavy else "light"
        means.append([kind, str(members), str(len(values)), f"{np.mean(values):.3f}"])
    total = markdown(["models", "members", "problems", "mean AP over problems"], means)
    return f"{markdown(head, lines)}\n\n{total}"


def _told(values: list[float]) -> tuple[str, str]:
    return ", ".join(f"{value:.2f}" for value in values), f"{np.mean(values):.2f}"


def main() -> None:
    made = parser(__doc__, seeds=2)
    made.add_argument("--first", type=int, default=0)
    made.add_argument("--data", default=",".join(DATA))
    made.add_argument("--files", type=Path)
    given = made.parse_args()
    if given.table:
        print(table(read(given.table)))
        return
    seeds = range(given.first, given.first + given.seeds)
    found = runs(given.data.split(","), seeds, given.files)
    print(f"{table(written(found, given.out))}\n\n{machine()}")


if __name__ == "__main__":
    main()
