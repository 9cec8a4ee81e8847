"""The default against what is best in hindsight, and against what else finds wrong labels, on small
real data.

    python bench/tuning/study.py [--data digits,wine,breast_cancer] [--optimizers sgd,adamw]
                                 [--noise 0,0.02,0.1,0.3,pair] [--fits memorised,early] [--seeds 3]
                                 [--backend numpy|sklearn] [--out rows.jsonl]

scikit-learn's own data and multilayer perceptrons. Prints one line per run as it finishes, then
tables over all runs. `--again rows.jsonl …` works out again what GEX and the plain loss find in
rows that were written before, `--table rows.jsonl …` only prints their tables.
"""

from __future__ import annotations

import argparse
import platform
import warnings
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rows import COLUMNS, Row, found_by_gex, found_in_hindsight, merged, precisions, read, written
from sklearn import datasets

import gexcore as gx
from gexcore.backend.batches import training_order
from gexcore.backend.optimizer import Optimizer
from gexcore_numpy import MLP, NumpyBackend

DATA = {
    "digits": datasets.load_digits,
    "wine": datasets.load_wine,
    "breast_cancer": datasets.load_breast_cancer,
}
NOISE = ("0", "0.02", "0.1", "0.3", "pair")
PAIR_RATE = 0.2
RATES = {"sgd": 0.05, "adamw": 2e-3}
EPOCHS = {"memorised": 150, "early": 8}
EARLY = 10
"""EL2N is the mean over so many first epochs, as the study that this table continues has it."""
FOLDS = 5


class Cell(NamedTuple):
    """One training problem."""

    data: str
    optimizer: Literal["sgd", "adamw"]
    fit: str
    noise: str
    seed: int


class Noisy(NamedTuple):
    """Data with given labels, and which of them are wrong."""

    x: NDArray[np.float32]
    labels: NDArray[np.intp]
    wrong: NDArray[np.bool_]


@lru_cache(maxsize=1)
def load(cell: Cell) -> Noisy:
    """The cell's data, standardised, with its noise."""
    x, y = DATA[cell.data](return_X_y=True)
    x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-6)
    rng = np.random.default_rng([cell.seed, NOISE.index(cell.noise)])
    classes = int(y.max()) + 1
    pair = cell.noise == "pair"
    chosen = rng.choice(
        len(y), round((PAIR_RATE if pair else float(cell.noise)) * len(y)), replace=False
    )
    shift = np.ones(len(chosen), int) if pair else rng.integers(1, classes, len(chosen))
    given = y.copy()
    given[chosen] = (y[chosen] + shift) % classes
    return Noisy(x.astype(np.float32), given.astype(np.intp), given != y)


def train(x: Any, y: Any, *, cell: Cell, seed: int, recorder: gx.Recorder | None = None) -> MLP:
    """A perceptron with two hidden layers."""
    sizes = (x.shape[1], 128, 128, int(y.max()) + 1)
    start = MLP.init(sizes, seed=seed, dtype=np.float32)
    backend = NumpyBackend(start, optimizer=Optimizer(name=cell.optimizer))
    state = backend.copy(backend.initial_state())
    size = min(32, len(x) // 4)
    batches = training_order(len(x), size, seed=seed, chain=0)
    for epoch in range(EPOCHS[cell.fit]):
        for _ in range(len(x) // size):
            indices, noise = next(batches)
            state, _ = backend.sgd_step_(
                state, (x[indices], y[indices]), lr=RATES[cell.optimizer], seed=noise
            )
        if recorder is not None and epoch < EARLY:
            recorder.add(np.arange(len(x)), logits=backend.logits(state, (x, y)), labels=y)
            recorder.epoch(epoch)
    return backend.to_model(state)


def train_sklearn(x: Any, y: Any, *, cell: Cell, seed: int) -> Any:
    """As `train`, by scikit-learn."""
    from sklearn.neural_network import MLPClassifier

    how = {
        "solver": "adam" if cell.optimizer == "adamw" else "sgd",
        "learning_rate_init": RATES[cell.optimizer],
    }
    net = MLPClassifier(
        (128, 128),
        **how,
        batch_size=min(32, len(x) // 4),
        max_iter=EPOCHS[cell.fit],
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # that it has not converged: it stops when the epochs are over
        net.set_params(n_iter_no_change=EPOCHS[cell.fit], alpha=0.0)
        return net.fit(x, y)


def trained(cell: Cell, backend: str, recorder: gx.Recorder | None = None) -> Any:
    """The cell's model."""
    x, y, _ = load(cell)
    model = (
        train(x, y, cell=cell, seed=cell.seed, recorder=recorder)
        if backend == "numpy" or recorder is not None
        else None
    )
    return train_sklearn(x, y, cell=cell, seed=cell.seed) if backend == "sklearn" else model


def fit(cell: Cell, model: Any, **settings: Any) -> gx.LossInfluence:
    """GEX on the cell."""
    x, y, _ = load(cell)
    own = {"optimizer": cell.optimizer, "seed": cell.seed, **settings}
    return gx.GEX(**own).fit(model, (x, y), progress=False)


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


def tables(rows: list[Row]) -> str:
    """AP by noise and fit, and what the targets of the default ask for."""
    noisy = [row for row in rows if "ap" in row]
    names = [name for name in COLUMNS if any(name in row["ap"] for row in noisy)]
    lines = [
        "| model | noise | runs | " + " | ".join(names) + " |",
        "| --- " * (len(names) + 3) + "|",
    ]
    for fit in EPOCHS:
        for noise in NOISE[1:]:
            part = [row for row in noisy if (row["fit"], row["noise"]) == (fit, noise)]
            if part:
                told = [
                    f"{np.mean([r['ap'][n] for r in part]):.3f} ± "
                    f"{np.std([r['ap'][n] for r in part]):.3f}"
                    for n in names
                ]
                lines.append(f"| {fit} | {noise} | {len(part)} | " + " | ".join(told) + " |")
    lines.append("")
    if noisy:
        share = np.array([row["ap"]["GEX() suspicion"] / row["ap"]["oracle lr"] for row in noisy])
        lines.append(
            "- AP of the default ÷ AP of the best fixed learning rate: median "
            f"{np.median(share):.3f}, worst {share.min():.3f}, "
            f"{(share < 0.85).sum()} below 0.85"
        )
        for name, key in (
            ("GEX() suspicion", "findings"),
            ("GEX(pretraining_epochs=…)", "capped_findings"),
        ):
            below = [row for row in noisy if row["ap"][name] < row["ap"]["plain loss"] - 0.02]
            told = sum("not_memorised" in row[key] or "few_members" in row[key] for row in below)
            lines.append(
                f"- {name}: below plain loss by more than .02 in {len(below)} of "
                f"{len(noisy)} runs, "
                f"of which diagnose() warned in {told}"
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for flag, choices in (
        ("data", DATA),
        ("optimizers", RATES),
        ("noise", NOISE),
        ("fits", EPOCHS),
    ):
        parser.add_argument(f"--{flag}", default=",".join(choices))
    parser.add_argument("--backend", default="numpy", choices=("numpy", "sklearn"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="rows as JSON lines, each as soon as it is there")
    parser.add_argument(
        "--again", type=Path, nargs="+", help="work out again what GEX finds in these rows"
    )
    parser.add_argument("--table", type=Path, nargs="+", help="print the tables of these rows")
    arguments = parser.parse_args()
    if arguments.table:
        print(tables(read(arguments.table)))
        return
    lists = [
        getattr(arguments, name).split(",") for name in ("data", "optimizers", "fits", "noise")
    ]
    cells = [
        Cell(name, optimizer, fit, noise, seed)
        for seed in range(arguments.seeds)
        for name in lists[0]
        for fit in lists[2]
        for optimizer in lists[1]
        for noise in lists[3]
    ]
    work = (
        map(again, read(arguments.again))
        if arguments.again
        else (run(cell, arguments.backend) for cell in cells)
    )
    print(tables(written(work, arguments.out)))
    print(f"\nPython {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}")


if __name__ == "__main__":
    main()
