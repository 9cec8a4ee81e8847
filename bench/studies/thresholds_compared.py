"""Every way to find a threshold, on many small problems and on digits in full size.

    python -m bench.studies.thresholds_compared --cache FOLDER [--data FOLDER] [--seeds 3]

Perceptrons that have memorised scikit-learn's digits, wine and breast cancer and a synthetic
problem, with no, 2, 10 and 30 % wrong labels and 20 % of a class taken for the next; with `--data`,
MNIST and the convolutional net of `models` as well. The scores go to the cache, one file per
problem, and what is there already is not made again: another threshold is judged in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import gexcore as gx
from bench.studies import data, small
from bench.studies.rows import Row, machine, parser, read, written
from bench.studies.tables import groups, markdown, spread
from gexcore.decisions.threshold import above, find_threshold
from gexcore.influence.views import THRESHOLD_CLIP

METHODS = ("auto", "valley", "otsu", "mixture")
HEAD = ("data", "noise", "method", "decided", "by", "precision", "recall", "flagged at most")
MNIST = ("0", "0.1", "0.3")


class Scored(NamedTuple):
    """One problem.

    Parameters
    ----------
    name, noise : str
    seed : int
    scores : array, shape (samples,)
        Suspicion, clipped as for thresholds.
    labels : integer array, shape (samples,)
    wrong : boolean array, shape (samples,)
    """

    name: str
    noise: str
    seed: int
    scores: NDArray[np.float64]
    labels: NDArray[np.intp]
    wrong: NDArray[np.bool_]


def perceptron(name: str, noise: str, seed: int) -> Scored:
    """A perceptron of `small`, scored."""
    cell = small.Cell(name, "sgd", "memorised", noise, seed)
    noisy = small.load(cell)
    model = small.train(noisy.x, noisy.labels, cell=cell, seed=seed)
    found = gx.GEX(seed=seed).fit(model, (noisy.x, noisy.labels), progress=False)
    return Scored(
        name, noise, seed, found.suspicion(clip=THRESHOLD_CLIP), noisy.labels, noisy.wrong
    )


def mnist(folder: Path, noise: str, seed: int) -> Scored:
    """The net of `models`, scored."""
    import torch

    from bench.studies import models, training

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    noisy = data.mnist(folder, seed, rate=float(noise))
    labels = noisy.labels.astype(np.int64)
    model = training.train(
        models.digits_cnn(10), noisy.x, labels, epochs=25, lr=0.1, batch_size=128, seed=seed
    )
    found = gx.GEX(seed=seed).fit(model, (noisy.x, labels), progress=False)
    return Scored("mnist", noise, seed, found.suspicion(clip=THRESHOLD_CLIP), labels, noisy.wrong)


def problems(cache: Path, folder: Path | None, seeds: int) -> Iterator[Scored]:
    """All of them, from the cache where they are there."""
    cache.mkdir(parents=True, exist_ok=True)
    keys = [(name, noise) for name in small.DATA for noise in small.NOISE]
    keys += [("mnist", noise) for noise in MNIST] if folder else []
    for seed in range(seeds):
        for name, noise in keys:
            path = cache / f"{name}-{noise}-{seed}.npz"
            if not path.exists():
                made = (
                    mnist(folder, noise, seed)
                    if folder and name == "mnist"
                    else perceptron(name, noise, seed)
                )
                np.savez_compressed(path, scores=made.scores, labels=made.labels, wrong=made.wrong)
            stored = np.load(path)
            yield Scored(name, noise, seed, stored["scores"], stored["labels"], stored["wrong"])


def judged(problem: Scored) -> Iterator[Row]:
    """What every threshold flags, against the truth."""
    for method in METHODS:
        found = find_threshold(problem.scores, problem.labels, method=method)
        flagged = above(problem.scores, problem.labels, found)
        hits = int((flagged & problem.wrong).sum())
        yield {
            "data": problem.name,
            "noise": problem.noise,
            "seed": problem.seed,
            "method": method,
            "by": found.method,
            "flagged": float(flagged.mean()),
            "precision": hits / max(1, int(flagged.sum())),
            "recall": hits / max(1, int(problem.wrong.sum())),
        }


def table(rows: list[Row]) -> str:
    """One line for each kind of data, noise and method; precision and recall where it decided."""
    lines = []
    for large, noise, method in product((False, True), small.NOISE, METHODS):
        part = [
            row for row in rows
            if (row["data"] == "mnist", row["noise"], row["method"]) == (large, noise, method)
        ]  # fmt: skip
        if not part:
            continue
        decided = [row for row in part if row["by"] != "refused"]
        how = ", ".join(f"{by} {len(same)}" for (by,), same in groups(decided, "by").items())
        numbers = [spread([row[name] for row in decided], 2) for name in ("precision", "recall")]
        lines.append([
            "mnist" if large else "small", noise, method, f"{len(decided)} of {len(part)}",
            how or "–", *(["–", "–"] if noise == "0" else numbers),
            f"{max(row['flagged'] for row in part):.1%}",
        ])  # fmt: skip
    return markdown(HEAD, lines)


def main() -> None:
    arguments = parser(__doc__, seeds=3)
    arguments.add_argument("--cache", type=Path, help="folder for the scores")
    arguments.add_argument("--data", type=Path, help="folder with mnist/")
    given = arguments.parse_args()
    work = (
        row for problem in problems(given.cache, given.data, given.seeds) for row in judged(problem)
    )
    rows = read(given.table) if given.table else written(work, given.out)
    print(f"\n{table(rows)}\n\n{machine()}")


if __name__ == "__main__":
    main()
