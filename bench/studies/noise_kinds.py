"""Scores of suspicion on many kinds of wrong labels: where each wins, and where it loses.

    python -m bench.studies.noise_kinds [--data digits,wine] [--kinds uniform:0.1,pair:0.2]
        [--fits memorised,early] [--optimizers sgd,adamw] [--seeds 2] [--first 0]
        [--files DIR] [--out rows.jsonl]

Perceptrons on scikit-learn's data. With `--files` they are also on 3,000 samples of USPS, MNIST,
AG News and TREC with its 50 fine classes; a text is the words that it has. Prints one line per run
as it finishes, then the table; `--table rows.jsonl …` only prints the table of rows that were
written before.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

import gexcore as gx
from bench.studies import data as files
from bench.studies import small
from bench.studies.found import precisions
from bench.studies.rows import Row, machine, parser, read, written
from bench.studies.tables import markdown, spread
from gexcore.errors import InvalidModelError

FROZEN = ("digits", "wine")
"""The settings of the scores were chosen on these data."""
KINDS = (
    "uniform:0.1", "uniform:0.3", "pair:0.2", "one_way:0.1", "one_way:0.3", "hard:0.2",
    "imbalance:0.1", "clean:0", "uniform:0.02", "one_way:0.02",
)  # fmt: skip
SCORES = ("confusion", "transition", "rival", "clipped_loss", "plain_loss")
LARGEST = 3000
"""Samples of the larger data."""


class Cell(NamedTuple):
    """One training problem."""

    data: str
    optimizer: str
    fit: str
    kind: str
    seed: int


class Noisy(NamedTuple):
    """Data with given labels, and which of them are wrong."""

    x: NDArray[np.float32]
    labels: NDArray[np.intp]
    wrong: NDArray[np.bool_]


def news(folder: Path) -> tuple[list[str], NDArray[np.intp]]:
    """Titles and texts of AG News, and their four classes."""
    with gzip.open(folder / "text/ag_news_test.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    return [f"{row[1]} {row[2]}" for row in rows], np.array([int(row[0]) - 1 for row in rows])


def questions(folder: Path) -> tuple[list[str], NDArray[np.intp]]:
    """The training questions of TREC, and their 50 fine classes."""
    lines = gzip.decompress((folder / "text/trec.tsv.gz").read_bytes()).decode().splitlines()[1:]
    rows = [row for row in (line.split("\t") for line in lines) if row[0] == "train"]
    _, classes = np.unique([row[2] for row in rows], return_inverse=True)
    return [row[3] for row in rows], classes.astype(np.intp)


def words(texts: list[str]) -> NDArray[np.float32]:
    """Which of the 1,500 most frequent words each text has."""
    parts = [re.findall(r"\w+|[^\w\s]", text.lower()) for text in texts]
    counts = Counter(word for part in parts for word in part)
    known = {word: i for i, (word, _) in enumerate(counts.most_common(1500))}
    x = np.zeros((len(texts), len(known)), np.float32)
    for row, part in zip(x, parts, strict=True):
        row[[known[word] for word in part if word in known]] = 1.0
    return x


TEXTS = {"trec50": questions, "ag_news": news}


def clean(name: str, folder: Path | None) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Inputs and true classes, one row per sample."""
    if name in small.DATA:
        x, y = small.DATA[name](return_X_y=True)
        return (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-6), y.astype(np.intp)
    if folder is None:
        raise SystemExit(f"{name} is read from files; give their folder with --files")
    if name in TEXTS:
        texts, y = TEXTS[name](folder)
        x = words(texts)
    elif name == "usps":
        stored = np.load(folder / "usps/usps.npz")
        x, y = stored["train_images"], stored["train_labels"]
    else:
        made = files.mnist(folder, 0, rate=0.0)
        x, y = made.x, made.labels
    part = np.random.default_rng(5).permutation(len(x))[:LARGEST]
    x, y = x[part].reshape(len(part), -1).astype(np.float32), y[part].astype(np.intp)
    _, y = np.unique(y, return_inverse=True)
    return (x if name in TEXTS else (x - x.mean()) / x.std()), y


def mislabel(
    x: NDArray[Any], y: NDArray[np.intp], kind: str, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Given labels, some of them wrong in the way of `kind`."""
    name, _, share = kind.partition(":")
    rate, k, given = float(share), int(y.max()) + 1, y.copy()
    if name == "one_way":
        one, other = rng.choice(np.flatnonzero(np.bincount(y) >= 10), 2, replace=False)
        members = np.flatnonzero(y == one)
        given[rng.choice(members, round(rate * len(members)), replace=False)] = other
    elif name == "hard":
        p = cross_val_predict(LogisticRegression(max_iter=200), x, y, cv=3, method="predict_proba")
        p[np.arange(len(y)), y] = 0.0
        weight = p.max(axis=1) + 1e-3
        chosen = rng.choice(len(y), round(rate * len(y)), replace=False, p=weight / weight.sum())
        given[chosen] = p[chosen].argmax(axis=1)
    else:
        chosen = rng.choice(len(y), round(rate * len(y)), replace=False)
        given[chosen] = (y[chosen] + (1 if name == "pair" else rng.integers(1, k, len(chosen)))) % k
    return given


@lru_cache(maxsize=1)
def load(cell: Cell, folder: Path | None) -> Noisy:
    """The cell's data with its noise."""
    x, y = clean(cell.data, folder)
    rng = np.random.default_rng([cell.seed, KINDS.index(cell.kind)])
    if cell.kind.startswith("imbalance"):  # every second class has a twentieth of its samples
        keep = (y % 2 == 0) | (rng.random(len(y)) < 0.05)
        x, y = x[keep], y[keep]
    given = mislabel(x, y, cell.kind, rng)
    return Noisy(x.astype(np.float32), given, given != y)


def cells(given: Any) -> Iterator[Cell]:
    """The cells of the lists that were asked for."""
    lists = [getattr(given, name).split(",") for name in ("data", "optimizers", "fits", "kinds")]
    seeds = range(given.first, given.first + given.seeds)
    for seed, cell in product(seeds, product(*lists)):
        yield Cell(*cell, seed)


def trained(cell: Cell, folder: Path | None, recorder: gx.Recorder | None = None) -> Any:
    """The perceptron of the cell."""
    x, y, _ = load(cell, folder)
    how = small.Cell(cell.data, cell.optimizer, cell.fit, cell.kind, cell.seed)  # type: ignore[arg-type]
    return small.train(x, y, cell=how, seed=cell.seed, recorder=recorder)


def run(cell: Cell, folder: Path | None) -> Row | None:
    """AP of every score, and what the threshold finds; None for a model that did not learn."""
    x, y, wrong = load(cell, folder)
    recorder = gx.Recorder(samples=len(x))
    model = trained(cell, folder, recorder)
    try:
        found = gx.GEX(seed=cell.seed).fit(model, (x, y), progress=False)
    except InvalidModelError:
        return None
    epochs = range(min(small.EARLY, small.EPOCHS[cell.fit]))
    early = np.mean([gx.EL2N(recorder=recorder, epoch=e).fit().values for e in epochs], axis=0)
    scores = {name: found.suspicion(name) for name in SCORES} | {"EL2N (from scratch)": early}
    suspects = found.suspects()
    flagged = suspects.indices
    return {
        **cell._asdict(),
        "samples": len(y),
        "fitted": fitted(found, wrong),
        "ap": precisions(scores, wrong) if wrong.any() else {},
        "threshold": suspects.threshold.method,
        "flagged": len(flagged) / len(y),
        "precision": float(wrong[flagged].mean()) if len(flagged) else None,
        "recall": float(np.isin(np.flatnonzero(wrong), flagged).mean()) if wrong.any() else None,
        "findings": [finding.name for finding in found.diagnose()],
    }


def fitted(found: gx.LossInfluence, wrong: NDArray[np.bool_]) -> float | None:
    """The share of wrong labels that the model gives more than half of the probability."""
    return float((found.checkpoint_losses < np.log(2))[wrong].mean()) if wrong.any() else None


def table(rows: list[Row]) -> str:
    """AP of the scores by kind of noise, on the data that chose the scores and on the others."""
    names = (*SCORES, "EL2N (from scratch)")
    head = ("data", "noise", "model", "runs", *names, "default − plain, worst", "threshold decided",
            "precision", "recall")  # fmt: skip
    lines = []
    for chosen, kind, fit in product((True, False), KINDS, small.EPOCHS):
        part = [
            row
            for row in rows
            if (row["data"] in FROZEN) == chosen and (row["kind"], row["fit"]) == (kind, fit)
        ]
        if not part:
            continue
        noisy = [row for row in part if row["ap"]]
        worst = [row["ap"]["confusion"] - row["ap"]["plain_loss"] for row in noisy]
        decided = [row for row in part if row["threshold"] != "refused"]
        told = [
            f"{np.mean([row[key] for row in decided if row[key] is not None]):.2f}"
            if decided and noisy
            else "–"
            for key in ("precision", "recall")
        ]
        lines.append(
            (
                "chosen on" if chosen else "others",
                kind,
                fit,
                str(len(part)),
                *(spread([row["ap"][name] for row in noisy], 2) for name in names),
                f"{min(worst):+.2f}" if worst else "–",
                f"{len(decided)}, flags at most {max(row['flagged'] for row in part):.1%}"
                if kind.startswith("clean")
                else f"{len(decided)}",
                *told,
            )
        )
    noisy = [row for row in rows if row["ap"]]
    others = [row for row in noisy if row["data"] not in FROZEN]
    lines_below = []
    for told, part in (("all runs", noisy), ("data that chose nothing", others)):
        means = {name: [row["ap"][name] for row in part] for name in names} if part else {}
        shown = ", ".join(f"{name} {np.mean(values):.3f}" for name, values in means.items())
        lines_below.append(f"- {told}: mean AP {shown}")
    below = [row for row in noisy if row["ap"]["confusion"] < row["ap"]["plain_loss"] - 0.05]
    told = sum(bool({"unskilled", "rare_class_on_top"} & set(row["findings"])) for row in below)
    lines_below.append(
        f"- confusion is more than .05 below the plain loss in {len(below)} of {len(noisy)} runs; "
        f"diagnose() told of unskilled members or a rare class in {told} of them"
    )
    pairs = [row for row in rows if row["kind"].startswith("one_way")]
    alone = ["one_class_pair" in row["findings"] for row in rows]
    found = sum("one_class_pair" in row["findings"] for row in pairs)
    lines_below.append(
        f"- one_class_pair was found in {found} of the {len(pairs)} runs with wrong labels of one "
        f"pair, and in {sum(alone) - found} of the {len(rows) - len(pairs)} others"
    )
    return "\n".join([markdown(head, lines), "", *lines_below])


def main() -> None:
    arguments = parser(__doc__, seeds=2)
    lists = {"data": FROZEN, "optimizers": small.RATES, "fits": small.EPOCHS, "kinds": KINDS}
    for flag, default in lists.items():
        arguments.add_argument(f"--{flag}", default=",".join(default))
    arguments.add_argument("--first", type=int, default=0, help="the first seed")
    arguments.add_argument("--files", type=Path, help="folder of the larger data")
    given = arguments.parse_args()
    if given.table:
        print(table(read(given.table)))
        return
    made = (row for cell in cells(given) if (row := run(cell, given.files)) is not None)
    print(f"{table(written(made, given.out))}\n\n{machine()}")


if __name__ == "__main__":
    main()
