"""Every way to find a threshold, on many small problems and on digits in full size.

    python bench/threshold/study.py --cache FOLDER [--data FOLDER] [--seeds 3]

Perceptrons that have memorised scikit-learn's digits, wine and breast cancer and a synthetic
problem, with no, 2, 10 and 30 % wrong labels and 20 % of a class taken for the next; with `--data`,
MNIST and the convolutional net of bench/real as well. The scores go to the cache, one file per
problem, and what is there already is not made again: another threshold is judged in seconds.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tuning"))
import study as tuning
from sklearn.datasets import make_classification

import gexcore as gx
from gexcore.decisions.threshold import find_threshold
from gexcore.influence.loss_influence import THRESHOLD_CLIP

METHODS = ("auto", "valley", "otsu", "mixture")
SMALL = ("digits", "wine", "breast_cancer", "synthetic")
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


def synthetic(*, return_X_y: bool = True) -> Any:
    """Five Gaussian clusters, one for each class."""
    shape = {"n_informative": 12, "n_redundant": 2, "n_classes": 5, "n_clusters_per_class": 1}
    return make_classification(1500, 20, **shape, class_sep=2.0, flip_y=0.0, random_state=1)


def small(name: str, noise: str, seed: int) -> Scored:
    """A perceptron of bench/tuning, scored."""
    cell = tuning.Cell(name, "sgd", "memorised", noise, seed)
    noisy = tuning.load(cell)
    model = tuning.train(noisy.x, noisy.labels, cell=cell, seed=seed)
    found = gx.GEX(seed=seed).fit(model, (noisy.x, noisy.labels), progress=False)
    return Scored(
        name, noise, seed, found.suspicion(clip=THRESHOLD_CLIP), noisy.labels, noisy.wrong
    )


def mnist(folder: Path, noise: str, seed: int) -> Scored:
    """The net of bench/real, scored."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "real"))
    import data
    import models
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    noisy = data.mnist(folder, seed, rate=float(noise))
    labels = noisy.labels.astype(np.int64)
    model = models.train(
        models.digits_cnn(10), noisy.x, labels, epochs=25, lr=0.1, batch_size=128, seed=seed
    )
    found = gx.GEX(seed=seed).fit(model, (noisy.x, labels), progress=False)
    return Scored("mnist", noise, seed, found.suspicion(clip=THRESHOLD_CLIP), labels, noisy.wrong)


def problems(cache: Path, folder: Path | None, seeds: int) -> Iterator[Scored]:
    """All of them, from the cache where they are there."""
    tuning.DATA["synthetic"] = synthetic
    cache.mkdir(parents=True, exist_ok=True)
    keys = [(name, noise) for name in SMALL for noise in tuning.NOISE]
    keys += [("mnist", noise) for noise in MNIST] if folder else []
    for seed in range(seeds):
        for name, noise in keys:
            path = cache / f"{name}-{noise}-{seed}.npz"
            if not path.exists():
                made = (
                    mnist(folder, noise, seed)
                    if folder and name == "mnist"
                    else small(name, noise, seed)
                )
                np.savez_compressed(path, scores=made.scores, labels=made.labels, wrong=made.wrong)
            stored = np.load(path)
            yield Scored(name, noise, seed, stored["scores"], stored["labels"], stored["wrong"])


def judge(problem: Scored, method: Any) -> dict[str, Any]:
    """What a threshold flags, against the truth."""
    found = find_threshold(problem.scores, problem.labels, method=method)
    flagged = problem.scores > (np.inf if found.value is None else found.value)
    hits = int((flagged & problem.wrong).sum())
    return {
        "by": found.method,
        "flagged": float(flagged.mean()),
        "precision": hits / max(1, int(flagged.sum())),
        "recall": hits / max(1, int(problem.wrong.sum())),
    }


def table(all_problems: list[Scored]) -> str:
    """One line for each kind of data, noise and method; precision and recall where it decided."""
    lines = [
        "| data | noise | method | decided | by | precision | recall | flagged at most |",
        "| --- " * 8 + "|",
    ]
    for large in (False, True):
        for noise in tuning.NOISE:
            some = [p for p in all_problems if p.noise == noise and (p.name == "mnist") is large]
            for method in METHODS if some else ():
                rows = [judge(problem, method) for problem in some]
                decided = [row for row in rows if row["by"] != "refused"]
                how = ", ".join(
                    f"{k} {sum(r['by'] == k for r in decided)}"
                    for k in dict.fromkeys(r["by"] for r in decided)
                )
                numbers = [
                    _spread([row[name] for row in decided]) for name in ("precision", "recall")
                ]
                numbers = ["–", "–"] if noise == "0" else numbers
                most = max(row["flagged"] for row in rows)
                cells = [
                    "mnist" if large else "small",
                    noise,
                    method,
                    f"{len(decided)} of {len(rows)}",
                    how or "–",
                ]
                lines.append(f"| {' | '.join([*cells, *numbers, f'{most:.1%}'])} |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.2f} ± {np.std(values):.2f}" if values else "–"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="folder with mnist/")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    found = []
    for problem in problems(arguments.cache, arguments.data, arguments.seeds):
        found.append(problem)
        print(problem.name, problem.noise, problem.seed, judge(problem, "auto"), flush=True)
    print(
        f"\n{table(found)}\n\nPython {platform.python_version()}, NumPy {np.__version__}, "
        f"{platform.machine()}"
    )


if __name__ == "__main__":
    main()
