"""Scores of suspicion for squared errors: members, the trained model, or both.

    python -m bench.studies.other_losses [--seeds 4] [--first 0] [--data diabetes,digits]
        [--ensembles geometric,relearning] [--out rows.jsonl]

A tenth of the targets of five regressions is wrong: shuffled (even seeds) or shifted by 1.5
standard deviations (odd seeds). Perceptrons learn them for 400 steps, or for 6,000, which fit the
wrong targets too. "digits" is the sum of the lowest pixels, from the others. Seeds 0 and 1 of the
first three chose the score "both_errors". The table is over the other runs. Prints one line per run
as it finishes, then the table; `--table rows.jsonl …` only prints the table of rows that were
written before.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import (
    load_diabetes,
    load_digits,
    make_friedman1,
    make_friedman2,
    make_friedman3,
)

import gexcore as gx
from bench.studies.found import precisions
from bench.studies.rows import Row, machine, parser, read, written
from bench.studies.tables import markdown, spread
from gexcore.backend.batches import training_order
from gexcore_numpy import MLP, NumpyBackend


def hidden_pixels() -> tuple[NDArray[Any], NDArray[Any]]:
    """The pixels of 1,000 digits but for the last two rows, and the sum of those."""
    pixels = load_digits().data[:1000]
    shown = pixels[:, :48]
    return shown[:, shown.std(axis=0) > 0], pixels[:, 48:].sum(axis=1)


DATA = {
    "diabetes": lambda: load_diabetes(return_X_y=True),
    "friedman1": lambda: make_friedman1(1000, 10, noise=0.5, random_state=1),
    "friedman2": lambda: make_friedman2(1000, noise=20, random_state=1),
    "friedman3": lambda: make_friedman3(1000, noise=0.1, random_state=1),
    "digits": hidden_pixels,
}
CHOSE = ("diabetes", "friedman1", "friedman2")
"""Seeds 0 and 1 of these data chose a score."""
STEPS = {"early": 400, "long": 6000}
SCORES = ("plain_loss", "clipped_loss", "both_errors", "both_losses")
ENSEMBLES = {"geometric": gx.Geometric, "relearning": gx.Relearning}


def noisy(name: str, seed: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
    """Standardised inputs and targets, and which targets are wrong."""
    x, y = DATA[name]()
    x, y = (x - x.mean(axis=0)) / x.std(axis=0), (y - y.mean()) / y.std()
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(y)) < 0.1
    given, count = y.copy(), int(wrong.sum())
    if seed % 2:
        given[wrong] += 1.5 * rng.choice([-1, 1], count)
    else:
        given[wrong] = rng.permutation(y)[:count]
    return x, given[:, None], wrong


def train(x: NDArray[Any], y: NDArray[Any], steps: int, seed: int) -> MLP:
    """A perceptron with two hidden layers."""
    start = MLP.init((x.shape[1], 64, 64, 1), seed=seed)
    backend = NumpyBackend(start, loss="squared_error")
    state, batches = (
        backend.copy(backend.initial_state()),
        training_order(len(y), 32, seed=0, chain=0),
    )
    for _ in range(steps):
        rows, noise = next(batches)
        state, _ = backend.sgd_step_(state, (x[rows], y[rows]), lr=0.005, seed=noise)
    return backend.to_model(state)


def runs(names: list[str], seeds: range, ensembles: list[str]) -> Iterator[Row]:
    """AP of every score, for each ensemble."""
    for name, seed, fit in product(names, seeds, STEPS):
        x, y, wrong = noisy(name, seed)
        model = train(x, y, STEPS[fit], seed)
        for ensemble in ensembles:
            found = gx.GEX(ensemble=ENSEMBLES[ensemble](seed=seed)).fit(
                model, (x, y), loss="squared_error", progress=False
            )
            scores = {score: found.suspicion(score) for score in SCORES}  # type: ignore[arg-type]
            yield {
                "data": name,
                "seed": seed,
                "fit": fit,
                "samples": len(y),
                "chose": name in CHOSE and seed < 2,
                "score": found.score,
                "ensemble": ensemble,
                "ap": precisions(scores, wrong),
                "flagged": len(found.suspects().indices) / len(y),
            }


def table(rows: list[Row]) -> str:
    """Means over data and seeds, and the worst difference from the plain loss."""
    names = [name for name in SCORES if any(name in row["ap"] for row in rows)]
    fresh = [row for row in rows if not row.get("chose")]
    lines = []
    for ensemble, fit in product(ENSEMBLES, STEPS):
        part = [row for row in fresh if (row["ensemble"], row["fit"]) == (ensemble, fit)]
        known = [[row["ap"] for row in part if name in row["ap"]] for name in names]
        cells = [spread([ap[n] for ap in aps], 2) for n, aps in zip(names, known, strict=True)]
        worst = [
            f"{min(ap[n] - ap['plain_loss'] for ap in aps):+.2f}" if aps else ""
            for n, aps in zip(names[1:], known[1:], strict=True)
        ]
        flagged = f"{max(row['flagged'] for row in part):.0%}"
        lines.append((ensemble, fit, str(len(part)), *cells, *worst, flagged))
    head = ("ensemble", "model", "runs", *names, *(f"{name} − plain, worst" for name in names[1:]),
            "most flagged")  # fmt: skip
    return markdown(head, lines)


def main() -> None:
    made = parser(__doc__, seeds=4)
    made.add_argument("--first", type=int, default=0)
    made.add_argument("--data", default=",".join(DATA))
    made.add_argument("--ensembles", default=",".join(ENSEMBLES))
    given = made.parse_args()
    if given.table:
        print(table(read(given.table)))
        return
    seeds = range(given.first, given.first + given.seeds)
    found = runs(given.data.split(","), seeds, given.ensembles.split(","))
    print(f"{table(written(found, given.out))}\n\n{machine()}")


if __name__ == "__main__":
    main()
