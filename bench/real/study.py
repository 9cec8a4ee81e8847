"""The default against what is best in hindsight, and against what else finds wrong labels, on images and text.

    python bench/real/study.py --data FOLDER [--problems mnist,cifar,trec] [--optimizers sgd] [--fits memorised]
                               [--noise 0,0.02,0.1,0.3,pair] [--seeds 3] [--paper 3] [--hindsight 1] [--folds 1]
                               [--out rows.jsonl]

Rows are those of `bench/tuning/study.py`, one per model, and so are their columns. "aggre" and "worse" are CIFAR-10's
labels as people gave them. For the first `--paper` seeds the paper's recipe is tried, with 8 members of 100 steps, for the
first `--hindsight` seeds fixed learning rates, and for the first `--folds` seeds five more trainings, each without a
fifth of the data. `--table rows.jsonl …` only prints the tables of rows that were written before.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import data
import models
import numpy as np
import torch

import gexcore as gx
from gexcore.errors import AllMembersDivergedError
from gexcore.metrics import average_precision

Row = dict[str, Any]


class Problem(NamedTuple):
    """A dataset, a model, and trainings that memorise it or stop before."""

    load: Callable[..., data.Noisy]
    model: Callable[[int], torch.nn.Module]
    epochs: dict[str, int]
    lr: dict[str, float]
    batch_size: int


class Cell(NamedTuple):
    """One trained model."""

    data: str
    optimizer: str
    fit: str
    noise: str
    seed: int


PROBLEMS = {
    "mnist": Problem(
        data.mnist, models.digits_cnn, {"memorised": 25, "early": 3}, {"sgd": 0.1, "adamw": 2e-3}, batch_size=128
    ),
    "cifar": Problem(
        data.cifar, models.resnet8, {"memorised": 40, "early": 6}, {"sgd": 0.1, "adamw": 2e-3}, batch_size=64
    ),
    "trec": Problem(
        data.trec, models.EmbeddingBag, {"memorised": 40, "early": 6}, {"sgd": 0.5, "adamw": 2e-3}, batch_size=32
    ),
}
FLIPPED: dict[str, dict[str, Any]] = {rate: {"rate": float(rate)} for rate in ("0", "0.02", "0.1", "0.3")}
NOISE = {**FLIPPED, "pair": {"rate": 0.2, "pair": True}, **{kind: {"labels": kind} for kind in ("aggre", "worse")}}
EARLY = 10
"""EL2N is the mean over so many first epochs, as in `bench/tuning/study.py`."""
GRID = {"sgd": tuple(0.02 * 2.0**k for k in range(7)), "adamw": tuple(1e-3 * 2.0**k for k in range(7))}
"""Fixed learning rates; the best of them by the true mask is the oracle."""
FOLDS = 5
COLUMNS = ("GEX() suspicion", "GEX(pretraining_epochs=…)", "GEX() self_influence", "GEX() mean member loss")
OTHERS = ("oracle lr", "paper's recipe, E2", "plain loss", "EL2N (from scratch)", "5-fold confident learning")


def run(cell: Cell, folder: Path, *, paper: bool, hindsight: bool, folds: bool) -> Row:
    """Everything measured on one model."""
    problem = PROBLEMS[cell.data]
    x, y, wrong, classes = problem.load(folder, cell.seed, **NOISE[cell.noise])
    epochs = problem.epochs[cell.fit]

    def train(x: Any, y: Any, *, seed: int, **told: Any) -> torch.nn.Module:
        torch.manual_seed(seed)
        how = {"epochs": epochs, "lr": problem.lr[cell.optimizer], "optimizer": cell.optimizer}
        return models.train(problem.model(classes), x, y, batch_size=problem.batch_size, seed=seed, **how, **told)

    recorder, epoch = gx.Recorder(samples=len(y)), 0

    def seen(indices: torch.Tensor, logits: torch.Tensor) -> None:
        if epoch < EARLY:
            recorder.add(indices.numpy(), logits=logits.numpy(), labels=y[indices.numpy()])

    def ended(number: int) -> None:
        nonlocal epoch
        if epoch < EARLY:
            recorder.epoch(epoch)
        epoch = number

    started = time.process_time()
    model = train(x, y, seed=cell.seed, on_batch=seen, on_epoch=ended)
    training = time.process_time() - started

    def fit(**settings: Any) -> gx.LossInfluence:
        own = {"optimizer": cell.optimizer, "seed": cell.seed, **settings}
        return gx.GEX(**own).fit(model, (x, y), progress=False)

    started = time.process_time()
    ours = fit()
    seconds = time.process_time() - started
    found = ours.suspects()
    hits = int(wrong[found.indices].sum())
    row: Row = {
        **cell._asdict(),
        "wrong": float(wrong.mean()),
        "fitted": float((ours.checkpoint_losses[wrong] < np.log(2)).mean()) if wrong.any() else None,
        "members": ours.run.count()["member"],
        "seconds": seconds,
        "training_seconds": training,
        "passes": ours.run.passes.epochs(len(y)),
        "percent_of_pretraining": 100 * ours.run.passes.epochs(len(y)) / (3 * epochs),
        "findings": [finding.name for finding in ours.diagnose()],
        "threshold": found.threshold.method,
        "flagged": len(found.indices) / len(y),
        "precision": hits / len(found.indices) if len(found.indices) else None,
        "recall": hits / int(wrong.sum()) if wrong.any() else None,
    }
    if not wrong.any():
        return row
    capped = fit(pretraining_epochs=epochs)
    by_epoch = [gx.EL2N(recorder=recorder, epoch=e).fit().values for e in range(min(EARLY, epochs))]
    scores = {
        "GEX() suspicion": ours.suspicion(),
        "GEX(pretraining_epochs=…)": capped.suspicion(),
        "GEX() self_influence": np.nan_to_num(ours.self_influence()),
        "GEX() mean member loss": np.nan_to_num(ours.suspicion(clip=np.inf), posinf=1e9),
        "plain loss": ours.checkpoint_losses,
        "EL2N (from scratch)": np.nan_to_num(np.nanmean(by_epoch, axis=0)),  # a batch that is not full is left out
    }
    if paper:
        recipe = gx.GEX.paper(chains=8, steps=100, seed=cell.seed).fit(model, (x, y), progress=False)
        scores["paper's recipe, E2"] = np.nan_to_num(recipe.self_influence())
    if folds:
        learning = gx.ConfidentLearning(train=train, folds=FOLDS, seed=cell.seed)
        scores["5-fold confident learning"] = learning.fit(data=(x, y), progress=False).suspicion()
    found_aps = {name: average_precision(value, wrong) for name, value in scores.items()}
    row |= {"ap": found_aps, "percent_capped": 100 * capped.run.passes.epochs(len(y)) / (3 * epochs)}
    if hindsight:
        by_rate = {}
        for lr in GRID[cell.optimizer]:
            with suppress(AllMembersDivergedError):  # it is not the best one then
                by_rate[lr] = average_precision(fit(lr=lr, chains=1).suspicion(), wrong)
        row["oracle"] = max(by_rate, key=by_rate.__getitem__)
        found_aps["oracle lr"] = by_rate[row["oracle"]]
    return row


def mean(values: list[float]) -> str:
    """Mean ± standard deviation, and of how many where that is not obvious."""
    if not values:
        return "–"
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values):.3f}" if len(values) > 1 else "")


def tables(rows: list[Row]) -> str:
    """Average precision by problem, and what the thresholds decided, as Markdown."""
    names = [*COLUMNS[:2], OTHERS[0], *COLUMNS[2:], *OTHERS[1:]]
    lines = ["| data | model | noise | runs | fitted | " + " | ".join(names) + " |", "| --- " * (len(names) + 5) + "|"]
    kinds = dict.fromkeys((row["data"], row["optimizer"], row["fit"], row["noise"]) for row in rows)
    parts = {kind: [r for r in rows if (r["data"], r["optimizer"], r["fit"], r["noise"]) == kind] for kind in kinds}
    for (name, optimizer, fit, noise), part in parts.items():
        if "ap" in part[0]:
            told = [mean([row["ap"][n] for row in part if n in row["ap"]]) for n in names]
            fitted = f"{np.mean([row['fitted'] for row in part]):.2f}"
            lines.append(
                f"| {name} | {fit}, {optimizer} | {noise} | {len(part)} | {fitted} | " + " | ".join(told) + " |"
            )
    lines += [
        "",
        "| data | model | noise | threshold | flagged | precision | recall | members | % of pretraining | capped | CPU s (training) |",
    ]
    lines.append("| --- " * 11 + "|")
    for (name, optimizer, fit, noise), part in parts.items():
        decided = [row for row in part if row["threshold"] != "refused"]

        def told_of(key: str, of: list[Row], digits: int) -> str:
            values = [row[key] for row in of if row.get(key) is not None]
            return f"{np.mean(values):.{digits}f}" if values else "–"

        lines.append(
            f"| {name} | {fit}, {optimizer} | {noise} | decided in {len(decided)} of {len(part)} | "
            f"{max(row['flagged'] for row in part):.1%} | {told_of('precision', decided, 2)} | "
            f"{told_of('recall', decided, 2)} | {told_of('members', part, 0)} | "
            f"{told_of('percent_of_pretraining', part, 0)} | {told_of('percent_capped', part, 0)} | "
            f"{told_of('seconds', part, 0)} ({told_of('training_seconds', part, 0)}) |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with mnist/, cifar10n/ and text/")
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    parser.add_argument("--optimizers", default="sgd", help="sgd, adamw")
    parser.add_argument("--fits", default="memorised", help="memorised, early")
    parser.add_argument("--noise", default="0,0.02,0.1,0.3,pair", help=", ".join(NOISE))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--paper", type=int, default=3, help="seeds for which the paper's recipe is tried")
    parser.add_argument("--hindsight", type=int, default=0, help="seeds for which fixed learning rates are tried")
    parser.add_argument("--folds", type=int, default=0, help="seeds for which cross-validation is tried")
    parser.add_argument("--out", type=Path, help="rows as JSON lines, each as soon as it is there")
    parser.add_argument("--table", type=Path, nargs="+", help="print the tables of these rows")
    arguments = parser.parse_args()
    if arguments.table:
        print(tables([json.loads(line) for path in arguments.table for line in path.read_text().splitlines()]))
        return
    torch.set_num_threads(1)
    lists = [getattr(arguments, name).split(",") for name in ("problems", "optimizers", "fits", "noise")]
    rows = []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        for noise in lists[3]:
            for cell in (Cell(d, o, f, noise, seed) for d in lists[0] for o in lists[1] for f in lists[2]):
                extra = {name: seed < getattr(arguments, name) for name in ("paper", "hindsight", "folds")}
                rows.append(run(cell, arguments.data, **extra))
                print(json.dumps(rows[-1]), flush=True)
                if arguments.out:
                    with arguments.out.open("a") as file:
                        print(json.dumps(rows[-1]), file=file)
    print(f"\n{platform.machine()}, one thread, torch {torch.__version__}\n\n{tables(rows)}")


if __name__ == "__main__":
    main()
