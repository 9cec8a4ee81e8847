"""How often intervals of `noise_rate()` hold the true share of wrong labels.

    python -m bench.studies.noise_rates --cache FOLDER --data FOLDER --out rows.jsonl

Perceptrons that have memorised scikit-learn's digits, 2,007 images of USPS, 2,000 images of MNIST
(14 × 14 pixels) and 2,000 questions of TREC (64 numbers each), with six shares of labels moved to
another class. The settings of the estimate were chosen on six seeds of digits, MNIST and TREC. USPS
only checks them, and so do the other seeds. The fits go to the cache: another estimate is judged in
seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gexcore as gx
from bench.studies import data, small
from bench.studies.rows import Row, parser, read, written
from bench.studies.tables import markdown
from gexcore.decisions.noise_rate import noise_rate_of_odds
from gexcore.errors import InvalidModelError
from gexcore.influence.transition import TINY

RATES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3)
SAMPLES = 2000
SHOWN = ("estimate", "low", "high")
NAMES = {"digits": "digits", "usps": "USPS", "mnist": "MNIST", "trec": "TREC"}


@lru_cache(maxsize=1)
def usps(folder: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The test images of USPS, and their classes."""
    with np.load(folder / "usps" / "usps.npz") as stored:
        x, classes = stored["test_images"], stored["test_labels"]
    return ((x - x.mean()) / x.std()).astype(np.float32).reshape(len(x), -1), classes


@lru_cache(maxsize=1)
def mnist(folder: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images of MNIST in 14 × 14 pixels, and their classes."""
    noisy = data.mnist(folder, 0, rate=0.0)
    part = np.random.default_rng(0).choice(len(noisy.x), SAMPLES, replace=False)
    x = noisy.x[part].reshape(SAMPLES, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(SAMPLES, -1)
    return ((x - x.mean()) / x.std()).astype(np.float32), noisy.labels[part]


@lru_cache(maxsize=1)
def trec(folder: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Questions by the leading directions of their words, and their classes."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts, classes = data.questions(folder)
    part = np.random.default_rng(0).choice(len(texts), SAMPLES, replace=False)
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2).fit_transform([texts[i] for i in part])
    x = TruncatedSVD(64, random_state=0).fit_transform(words)
    # rare words lie far out, and training diverges on them
    x = np.clip((x - x.mean(axis=0)) / x.std(axis=0), -3, 3)
    return x.astype(np.float32), classes[part]


READ = {"usps": usps, "mnist": mnist, "trec": trec}


def fitted(name: str, folder: Path | None, rate: float, seed: int) -> dict[str, Any]:
    """One problem: its labels, which are wrong, and what a fit knows of them."""
    if folder is not None and name in READ:
        x, clean = READ[name](folder)
    else:
        x, clean = small.DATA[name](return_X_y=True)
        x = ((x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-6)).astype(np.float32)
    labels = data.flip(clean, int(clean.max()) + 1, rate, seed)
    cell = small.Cell(name, "sgd", "memorised", "0", seed)
    found = gx.GEX(seed=seed).fit(
        small.train(x, labels, cell=cell, seed=seed), (x, labels), progress=False
    )
    predictions = found.predictions()
    return {
        "labels": labels, "wrong": labels != clean, "losses": found.losses,
        "base": found.checkpoint_losses, "chains": found.table.chains,
        "logits": predictions.logits, "probabilities": predictions.probabilities,
        "suspicion": found.suspicion(),
    }  # fmt: skip


def odds(fit: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """As `Views.odds` has them."""
    q, labels = fit["probabilities"].astype(np.float64), fit["labels"]
    rows = np.arange(len(q))
    given = q[rows, labels]
    q[rows, labels] = 0.0
    return np.log(np.maximum(q.max(axis=1), TINY)) - np.log(np.maximum(given, TINY))


def rows(cache: Path, folder: Path | None, names: list[str], seeds: int) -> Iterator[Row]:
    """One row for each data set and share; fits come from the cache where they are there."""
    cache.mkdir(parents=True, exist_ok=True)
    for name, rate in product(names, RATES):
        runs = []
        for seed in range(seeds):
            path = cache / f"{name}-{rate}-{seed}.npz"
            if not path.exists():
                try:
                    np.savez_compressed(path, **fitted(name, folder, rate, seed))
                except InvalidModelError:  # its training diverged
                    continue
            with np.load(path) as fit:
                runs.append((*noise_rate_of_odds(odds(fit)), float(fit["wrong"].mean())))
        found = np.array(runs)
        said = found[~np.isnan(found[:, 0])]
        estimate, low, high, true = said.T
        yield {
            "data": name, "rate": rate, "runs": len(found), "given": len(said),
            "covered": int(((low <= true) & (true <= high)).sum()),
            **{key: round(float(value.mean()), 4) if len(value) else None
               for key, value in zip(SHOWN, (estimate, low, high), strict=True)},
        }  # fmt: skip


def table(rows: list[Row]) -> str:
    """One line for each data set and share."""
    head = ["data", "wrong", "runs", "refused", "covered", "estimate", "low", "high"]
    lines = [
        [
            NAMES[row["data"]], f"{row['rate']:.0%}", str(row["runs"]),
            str(row["runs"] - row["given"]),
            f"{row['covered']} of {row['given']}" if row["given"] else "–",
            *("–" if row[key] is None else f"{row[key]:.1%}" for key in SHOWN),
        ]
        for row in rows
    ]  # fmt: skip
    return markdown(head, lines)


def main() -> int:
    made = parser(__doc__, seeds=20)
    made.add_argument("--cache", type=Path, help="folder for the fits")
    made.add_argument("--data", type=Path, help="folder with usps/, mnist/ and text/")
    made.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    args = made.parse_args()
    if not args.table and not args.cache:
        made.error("give a --cache")
    found = rows(args.cache, args.data, args.only, args.seeds) if not args.table else ()
    print(table(read(args.table) if args.table else written(found, args.out)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
