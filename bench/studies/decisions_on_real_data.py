"""What follows from the scores on real data: thresholds, new labels, two sources, pruning.

    python -m bench.studies.decisions_on_real_data --data FOLDER [--parts relabel,separate,prune]
        [--problems mnist10,…] [--seeds 3] [--size N] [--epochs N] [--out rows.jsonl]

A fifth of every dataset is held out with right labels for the test accuracy. Prints one line per
measurement as it is made, then tables with mean ± standard deviation over seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

import gexcore as gx
from bench.studies import data, models
from bench.studies.rows import Row, machine, parser, read, written
from bench.studies.tables import groups, markdown, spread
from bench.studies.training import train
from gexcore.decisions.clean import METHODS, Cleaned, clean
from gexcore.decisions.curve import pruning_curve
from gexcore.decisions.retrain import accuracy
from gexcore.decisions.separate import separate

THRESHOLDS = ("auto", "otsu", "mixture")
KEEP = (1.0, 0.9, 0.7, 0.5, 0.3)
EARLY = 3
"""EL2N is read after so many epochs; 20 of 200 in its paper."""


class Problem(NamedTuple):
    """A dataset at some noise, a model and a training that memorises it."""

    load: Callable[[Path, int, bool], data.Noisy]
    model: Callable[[int], torch.nn.Module]
    epochs: int
    lr: float
    batch_size: int


class Split(NamedTuple):
    """Training samples with given and right labels, and test samples with right ones."""

    x: np.ndarray
    given: np.ndarray
    true: np.ndarray
    test: tuple[np.ndarray, np.ndarray]
    classes: int


def _mnist(rate: float) -> Problem:
    def load(folder: Path, seed: int, clean: bool) -> data.Noisy:
        return data.mnist(folder, seed, rate=0.0 if clean else rate)

    return Problem(load, models.digits_cnn, 25, 0.1, 128)


def _cifar(labels: str) -> Problem:
    def load(folder: Path, seed: int, clean: bool) -> data.Noisy:
        return data.cifar(folder, seed, labels="flipped" if clean else labels, size=5000, rate=0.0)

    return Problem(load, models.photos_cnn, 20, 0.1, 64)


PROBLEMS = {
    "mnist10": _mnist(0.1),
    "mnist30": _mnist(0.3),
    "mnist0": _mnist(0.0),
    "aggre": _cifar("aggre"),
    "worse": _cifar("worse"),
    "trec": Problem(
        lambda f, s, clean: data.trec(f, s, rate=0.0 if clean else 0.1),
        models.EmbeddingBag,
        40,
        0.5,
        32,
    ),
}


class Study:
    """The flags of a run, and what it takes to train."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.folder: Path = arguments.data
        self.size: int | None = arguments.size
        self.epochs: int | None = arguments.epochs
        self.methods: list[str] = arguments.methods.split(",")

    def split(self, problem: Problem, seed: int) -> Split:
        """Four fifths to train on, at most `size`, and one to test on."""
        noisy, right = (problem.load(self.folder, seed, clean) for clean in (False, True))
        order = np.random.default_rng([seed, 5]).permutation(len(noisy.labels))
        held_out = len(order) // 5
        test, train = order[:held_out], order[held_out:][: self.size]
        return Split(
            noisy.x[train],
            noisy.labels[train],
            right.labels[train],
            (noisy.x[test], right.labels[test]),
            noisy.classes,
        )

    def train(
        self, problem: Problem, classes: int, x: np.ndarray, y: np.ndarray, seed: int
    ) -> torch.nn.Module:
        """A fresh model on classes or soft targets."""
        torch.manual_seed(seed)
        y = y.astype(np.float32) if y.ndim == 2 else y.astype(np.int64)
        batch = min(problem.batch_size, len(x))
        epochs = self.epochs or problem.epochs
        return train(
            problem.model(classes), x, y, epochs=epochs, lr=problem.lr, batch_size=batch, seed=seed
        )

    def fit(self, model: torch.nn.Module, x: np.ndarray, y: np.ndarray, seed: int) -> gx.Influence:
        """The scores, by the defaults."""
        return gx.GEX(seed=seed).fit(model, (x, y), progress=False)

    def relabel(self, name: str, seed: int) -> Iterator[Row]:
        """Thresholds against the truth, and test accuracy after retraining."""
        problem = PROBLEMS[name]
        x, given, true, test, classes = self.split(problem, seed)
        wrong = given != true
        model = self.train(problem, classes, x, given, seed)
        influence = self.fit(model, x, given, seed)
        base = {"problem": name, "seed": seed, "wrong": float(wrong.mean())}
        for method in THRESHOLDS:
            yield {
                **base,
                "part": "threshold",
                "method": method,
                **_judged(influence.suspects(method), wrong),
            }
        for method in ("auto", "mixture"):
            rate = influence.noise_rate(method)
            yield {
                **base,
                "part": "noise rate",
                "method": method,
                **{k: _finite(v) for k, v in rate._asdict().items()},
            }
        fitted = (
            float((influence.checkpoint_losses[wrong] < np.log(2)).mean()) if wrong.any() else None
        )
        yield {
            **base,
            "part": "retrain",
            "method": "noisy",
            "accuracy": accuracy(model, test),
            "fitted": fitted,
        }

        found = influence.suspects()
        how = found.threshold.method
        if found.threshold.value is None and wrong.any():
            found, how = influence.suspects("quantile", rate=float(wrong.mean())), "the true rate"
        if len(found.indices):
            versions = {method: influence.relabel(method, found.indices) for method in METHODS}
            versions["oracle drop"] = (
                clean(given, np.flatnonzero(wrong), "drop") if wrong.any() else versions["drop"]
            )
        else:
            versions, how = {}, "refused"
        versions["clean"] = Cleaned(np.arange(len(true)), true, np.flatnonzero(wrong), "clean")
        for method in (name for name in versions if name in self.methods):
            cleaned = versions[method]
            retrained = self.train(problem, classes, x[cleaned.indices], cleaned.targets, seed)
            row = {**base, "part": "retrain", "method": method, "suspects by": how}
            yield {**row, "accuracy": accuracy(retrained, test)}

    def separate(self, _: str, seed: int) -> Iterator[Row]:
        """Two sources of digits in one training set, each in its majority."""
        problem = PROBLEMS["mnist0"]
        digits = problem.load(self.folder, seed, True)
        stored = np.load(self.folder / "usps/usps.npz")
        usps = np.pad(stored["train_images"], ((0, 0), (6, 6), (6, 6)))[:, None].astype(np.float32)
        total = min(self.size or 6000, 6000)
        rng = np.random.default_rng([seed, 6])
        for share in (0.1, 0.5):
            few = round(share * total)
            a, b = (
                rng.choice(len(digits.x), total - few, replace=False),
                rng.choice(len(usps), few, replace=False),
            )
            x = np.concatenate([digits.x[a], usps[b]])
            y = np.concatenate([digits.labels[a], stored["train_labels"][b]])
            source = np.repeat(["mnist", "usps"], [len(a), len(b)])
            model = self.train(problem, 10, x, y, seed)
            influence = self.fit(model, x, y, seed)
            scores = {
                "self_influence": np.nan_to_num(influence.self_influence()),
                "suspicion": influence.suspicion(),
                "plain loss at θ*": influence.checkpoint_losses,
            }
            for method, values in scores.items():
                found = separate(values, source)
                row = {
                    "problem": f"usps {share:.0%}",
                    "seed": seed,
                    "part": "separate",
                    "method": method,
                }
                yield {**row, "auc high": found.high.auc, "ap high": found.high.average_precision,
                       "auc low": found.low.auc, "ap low": found.low.average_precision}  # fmt: skip

    def prune(self, name: str, seed: int) -> Iterator[Row]:
        """Test accuracy of ever smaller training sets."""
        problem = PROBLEMS[name]
        x, given, _, test, classes = self.split(problem, seed)
        influence = self.fit(self.train(problem, classes, x, given, seed), x, given, seed)
        epochs = self.epochs or problem.epochs
        el2n, forgetting = recorded(
            lambda: problem.model(classes), x, given, epochs=epochs, lr=problem.lr,
            batch_size=min(problem.batch_size, len(x)), seeds=range(100 + 3 * seed, 103 + 3 * seed),
        )  # fmt: skip
        scores = {
            "GEX self_influence": np.nan_to_num(influence.self_influence()),
            "GEX suspicion": influence.suspicion(),
            "EL2N": el2n,
            "forgetting": forgetting + 1e-6 * el2n,  # many are equal; EL2N decides among them
        }

        def train(positions: np.ndarray) -> float:
            return accuracy(
                self.train(problem, classes, x[positions], given[positions], seed), test
            )

        known: dict[bytes, float] = {}

        def once(positions: np.ndarray) -> float:  # the random subsets are the same for every score
            key = positions.tobytes()
            if key not in known:
                known[key] = train(positions)
            return known[key]

        for method, values in scores.items():
            for point in pruning_curve(once, values, KEEP, seed=seed):
                row = {"problem": name, "seed": seed, "part": "prune", "keep": point.keep}
                yield {**row, "method": method, "accuracy": point.accuracy}
                if method == "EL2N":
                    yield {**row, "method": "random", "accuracy": point.random}


def recorded(
    build: Callable[[], torch.nn.Module], x: np.ndarray, y: np.ndarray, *, seeds: range, **how: Any
) -> tuple[np.ndarray, np.ndarray]:
    """EL2N after an early epoch in evaluation mode, and forgetting events; means over trainings."""
    errors, recorders, early = [], [], min(EARLY, how["epochs"])
    for seed in seeds:
        torch.manual_seed(seed)
        errors.append(_record(build(), x, y, early, recorders, seed=seed, **how))
    forgetting = gx.Forgetting(recorder=recorders).fit().values / len(seeds)
    return np.mean(errors, axis=0), np.nan_to_num(forgetting)


def _record(
    model: torch.nn.Module,
    x: np.ndarray,
    y: np.ndarray,
    early: int,
    recorders: list[gx.Recorder],
    **how: Any,
) -> np.ndarray:
    """One training: its EL2N; its recorder is put to the others."""
    recorder = gx.Recorder(len(x))
    recorders.append(recorder)
    errors = np.zeros(len(x))

    def on_batch(indices: torch.Tensor, logits: torch.Tensor) -> None:
        recorder.add(indices, logits=logits, labels=y[indices.numpy()])

    def on_epoch(epoch: int) -> None:
        recorder.epoch(epoch)
        if epoch == early:
            model.eval()
            with torch.no_grad():
                p = torch.cat([model(part) for part in torch.from_numpy(x).split(512)]).softmax(1)
            model.train()
            errors[:] = (p - F.one_hot(torch.from_numpy(y), p.shape[1])).norm(dim=1)

    train(model, x, y, on_batch=on_batch, on_epoch=on_epoch, **how)
    return errors


def _judged(found: gx.Suspects, wrong: np.ndarray) -> Row:
    hits = int(wrong[found.indices].sum())
    precision = hits / len(found.indices) if len(found.indices) else None
    recall = hits / int(wrong.sum()) if wrong.any() and len(found.indices) else None
    return {
        "decided": found.threshold.method,
        "flagged": len(found.indices) / len(wrong),
        "precision": precision,
        "recall": recall,
    }


def _finite(value: float) -> float | None:
    return None if np.isnan(value) else value


def table(rows: list[Row]) -> str:
    """Mean ± standard deviation over seeds, one table for each part."""
    told = []
    for (part,), some in groups(rows, "part").items():
        keys = ("problem", "method", *(["keep"] if part == "prune" else []))
        seen = dict.fromkeys(name for row in some for name in row)
        fields = [name for name in seen if name not in ("part", "seed", *keys)]
        lines = [
            [*map(str, key), *(_cell([row.get(name) for row in same]) for name in fields)]
            for key, same in groups(some, *keys).items()
        ]
        told.append(f"{part}\n\n{markdown((*keys, *fields), lines)}")
    return "\n\n".join(told)


def _cell(values: list[Any]) -> str:
    if any(isinstance(value, str) for value in values):
        return ", ".join(dict.fromkeys(map(str, values)))
    return spread([value for value in values if value is not None])


def main() -> None:
    arguments = parser(__doc__, seeds=3)
    arguments.add_argument("--data", type=Path, help="folder with mnist/, cifar10n/, usps/, text/")
    arguments.add_argument("--parts", default="relabel,separate,prune")
    arguments.add_argument("--problems", default=",".join(PROBLEMS), help="of relabel")
    arguments.add_argument("--methods", default=",".join((*METHODS, "oracle drop", "clean")))
    arguments.add_argument("--prune-problems", default="mnist0", help="of prune")
    arguments.add_argument("--size", type=int, help="training samples at most")
    arguments.add_argument("--epochs", type=int, help="of every training")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    names = {"relabel": given.problems, "separate": "usps", "prune": given.prune_problems}
    study = Study(given)
    work = (
        row
        for part in given.parts.split(",")
        for seed in range(given.seeds)
        for name in names[part].split(",")
        for row in getattr(study, part)(name, seed)
    )
    rows = read(given.table) if given.table else written(work, given.out)
    print(f"\n{machine()}, torch {torch.__version__}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
