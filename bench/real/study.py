"""How well final-checkpoint scores find wrong labels on real data.

    python bench/real/study.py --data FOLDER [--problems mnist,cifar,aggre,trec,…] [--seeds 3] [--hindsight 1]

Prints one line per run as it finishes, then a table with mean ± standard deviation over seeds. For the first
`--hindsight` seeds fixed learning rates are tried too, and the best of them by the true mask is told.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import data
import models
import numpy as np
import torch

import gexcore as gx
from gexcore.errors import AllMembersDivergedError
from gexcore.metrics import auc, average_precision


class Problem(NamedTuple):
    """A dataset, a model and a training that memorises it."""

    load: Callable[[Path, int], data.Noisy]
    model: Callable[[int], torch.nn.Module]
    epochs: int
    lr: float
    batch_size: int
    paper_steps: int


PROBLEMS = {
    "mnist": Problem(data.mnist, models.digits_cnn, 25, 0.1, 128, 100),
    "cifar": Problem(data.cifar, models.resnet8, 40, 0.1, 64, 100),
    "aggre": Problem(lambda f, s: data.cifar(f, s, labels="aggre"), models.resnet8, 40, 0.1, 64, 100),
    "mnist30": Problem(partial(data.mnist, rate=0.3), models.digits_cnn, 25, 0.1, 128, 100),
    "mnist0": Problem(partial(data.mnist, rate=0.0), models.digits_cnn, 25, 0.1, 128, 100),
    "mnist early": Problem(data.mnist, models.digits_cnn, 3, 0.1, 128, 100),
    "trec": Problem(data.trec, models.EmbeddingBag, 40, 0.5, 32, 100),
}
GRID = tuple(0.02 * 2.0**k for k in range(7))
"""Fixed learning rates, as in `bench/tuning/study.py`."""


def run(name: str, problem: Problem, folder: Path, seed: int, *, hindsight: bool) -> list[dict[str, Any]]:
    """Train once, score by every method."""
    noisy = problem.load(folder, seed)
    torch.manual_seed(seed)
    started = time.perf_counter()
    model = models.train(
        problem.model(noisy.classes), noisy.x, noisy.labels,
        epochs=problem.epochs, lr=problem.lr, batch_size=problem.batch_size, seed=seed,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    training = {"problem": name, "seed": seed, "wrong": float(noisy.wrong.mean()), "training_seconds": seconds}
    methods = {
        "GEX()": gx.GEX(seed=seed),
        "GEX.paper(chains=8, steps=100)": gx.GEX.paper(chains=8, steps=problem.paper_steps, seed=seed),
    }
    rows = []
    if not noisy.wrong.any():
        found = methods["GEX()"].fit(model, (noisy.x, noisy.labels), progress=False).suspects()
        told = {"threshold": found.threshold.method, "flagged": len(found.indices) / len(noisy.labels)}
        return [{**training, "method": "GEX() suspicion", **told}]
    for method, estimator in methods.items():
        influence = estimator.fit(model, (noisy.x, noisy.labels), progress=False)
        if not rows:
            fitted = float((influence.checkpoint_losses[noisy.wrong] < np.log(2)).mean())
            rows.append(row(training, "plain loss at θ*", influence.checkpoint_losses, noisy, 0.0, 1.0, problem))
            training["noise_fitted"] = rows[0]["noise_fitted"] = fitted
        cost = influence.run.passes.epochs(len(noisy.labels))
        taken = influence.run.seconds
        for view in ("suspicion", "self_influence"):
            scores = np.nan_to_num(getattr(influence, view)(), nan=0.0)
            rows.append(row(training, f"{method} {view}", scores, noisy, taken, cost, problem))
        if method == "GEX()":
            found = influence.suspects()
            hits = int(noisy.wrong[found.indices].sum())
            rows[-2] |= {
                "threshold": found.threshold.method,
                "precision": hits / len(found.indices) if len(found.indices) else None,
                "recall": hits / int(noisy.wrong.sum()),
                "snapshots": influence.run.count(),
                "findings": [finding.name for finding in influence.diagnose()],
            }
            mean = np.nan_to_num(influence.suspicion(clip=np.inf), posinf=1e9)
            rows.append(row(training, f"{method} mean member loss", mean, noisy, taken, cost, problem))
    if hindsight:
        rows.append(best_in_hindsight(training, model, noisy, seed, problem))
    return rows


def best_in_hindsight(
    training: dict[str, Any], model: torch.nn.Module, noisy: data.Noisy, seed: int, problem: Problem
) -> dict[str, Any]:
    """The fixed learning rate of `GRID` whose suspicion ranks best by the true mask."""
    found = {}
    for lr in GRID:
        with suppress(AllMembersDivergedError):
            found[lr] = gx.GEX(lr=lr, chains=1, seed=seed).fit(model, (noisy.x, noisy.labels), progress=False)
    lr = max(found, key=lambda rate: average_precision(found[rate].suspicion(), noisy.wrong))
    cost, seconds = found[lr].run.passes.epochs(len(noisy.labels)), found[lr].run.seconds
    told = row(training, "GEX(lr=…) suspicion, best of 7", found[lr].suspicion(), noisy, seconds, cost, problem)
    return {**told, "lr": lr}


def row(
    training: dict[str, Any],
    method: str,
    scores: np.ndarray,
    noisy: data.Noisy,
    seconds: float,
    cost: float,
    problem: Problem,
) -> dict[str, Any]:
    """One line of the results."""
    return {
        **training,
        "method": method,
        "auc": auc(scores, noisy.wrong),
        "ap": average_precision(scores, noisy.wrong),
        "seconds": seconds,
        "passes": cost,
        "percent_of_pretraining": 100 * cost / (3 * problem.epochs),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Mean ± standard deviation over seeds, as Markdown."""
    lines = [
        "| data | noise fitted | method | AUC | AP | seconds (training) | passes over the data | % of pretraining |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for key in dict.fromkeys((r["problem"], r["method"]) for r in rows):
        part = [r for r in rows if (r["problem"], r["method"]) == key]

        def told(field: str, digits: int, part: list[dict[str, Any]] = part) -> str:
            values = [r[field] for r in part]
            return f"{np.mean(values):.{digits}f} ± {np.std(values):.{digits}f}"

        lines.append(
            f"| {key[0]} | {told('noise_fitted', 2)} | {key[1]} | {told('auc', 3)} | {told('ap', 3)} | "
            f"{told('seconds', 0)} ({np.mean([r['training_seconds'] for r in part]):.0f}) | {told('passes', 1)} | "
            f"{told('percent_of_pretraining', 0)} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with mnist/, cifar10n/ and text/")
    parser.add_argument("--problems", default="mnist,cifar,aggre,trec", help=", ".join(PROBLEMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--hindsight", type=int, default=0, help="seeds for which fixed learning rates are tried")
    parser.add_argument("--out", type=Path, help="where to write all rows as JSON lines")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for name in arguments.problems.split(","):
        for seed in range(arguments.seeds):
            found = run(name, PROBLEMS[name], arguments.data, seed, hindsight=seed < arguments.hindsight)
            rows += found
            for line in found:
                print(json.dumps(line), flush=True)
            if arguments.out:
                arguments.out.write_text("\n".join(map(json.dumps, rows)) + "\n")
    rows = [row for row in rows if "ap" in row]
    print(f"\n{platform.machine()}, one thread, torch {torch.__version__}, {arguments.seeds} seeds\n\n{table(rows)}")


if __name__ == "__main__":
    main()
