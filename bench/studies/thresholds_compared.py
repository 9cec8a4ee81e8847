"""Every way to find a threshold, on many small problems and on digits in full size.

    python -m bench.studies.thresholds_compared [--data FOLDER] [--seeds 3] [--out rows.jsonl]

Perceptrons that have memorised scikit-learn's digits, wine and breast cancer and a synthetic
problem, with no, 2, 10 and 30 % wrong labels and 20 % of a class taken for the next; with `--data`,
MNIST and the convolutional net of `models` as well. The suspects are those of `GEX()`.
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

METHODS = ("auto", "valley", "otsu", "mixture")
HEAD = ("data", "noise", "method", "decided", "by", "precision", "recall", "flagged at most")
MNIST = ("0", "0.1", "0.3")


class Scored(NamedTuple):
    """The run on one problem, and which labels are wrong."""

    found: gx.LossInfluence
    wrong: NDArray[np.bool_]


def perceptron(name: str, noise: str, seed: int) -> Scored:
    """A perceptron of `small`, scored."""
    cell = small.Cell(name, "sgd", "memorised", noise, seed)
    noisy = small.load(cell)
    model = small.train(noisy.x, noisy.labels, cell=cell, seed=seed)
    return Scored(
        gx.GEX(seed=seed).fit(model, (noisy.x, noisy.labels), progress=False), noisy.wrong
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
    return Scored(gx.GEX(seed=seed).fit(model, (noisy.x, labels), progress=False), noisy.wrong)


def rows(folder: Path | None, seeds: int) -> Iterator[Row]:
    """What every threshold flags, against the truth."""
    keys = [(name, noise) for name in small.DATA for noise in small.NOISE]
    keys += [("mnist", noise) for noise in MNIST] if folder else []
    for seed, (name, noise) in product(range(seeds), keys):
        is_mnist = folder is not None and name == "mnist"
        problem = mnist(folder, noise, seed) if is_mnist else perceptron(name, noise, seed)
        for method in METHODS:
            suspects = problem.found.suspects(method)
            hits = int(problem.wrong[suspects.indices].sum())
            yield {
                "data": name,
                "noise": noise,
                "seed": seed,
                "method": method,
                "by": suspects.threshold.method,
                "flagged": len(suspects.indices) / len(problem.wrong),
                "precision": hits / max(1, len(suspects.indices)),
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
    arguments.add_argument("--data", type=Path, help="folder with mnist/")
    given = arguments.parse_args()
    found = read(given.table) if given.table else written(rows(given.data, given.seeds), given.out)
    print(f"\n{table(found)}\n\n{machine()}")


if __name__ == "__main__":
    main()
