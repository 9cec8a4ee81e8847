"""How often intervals of scores hold the mean over many chains.

    python -m bench.studies.coverage --runs 200 --out docs/rows/coverage.jsonl

Each run is a fit of GEX with another seed on one small problem. The true score is the mean over
all runs. A sample is covered if its interval holds that. Two kinds of interval are counted: by
Student's t (`confidence_interval`), and by the normal distribution from the same standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from statistics import NormalDist

import numpy as np

import gexcore as gx
from bench.studies.rows import Row, parser, read, written
from bench.studies.tables import groups, markdown
from gexcore_numpy import MLP, NumpyBackend

LEVELS = (0.9, 0.95)
CHAINS = (2, 4, 8)


def trained(samples: int = 200) -> tuple[MLP, tuple[np.ndarray, np.ndarray]]:
    """Three classes in eight dimensions, one label in ten wrong, and a net that was trained."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, samples)
    x = rng.normal(size=(samples, 8)) + 2 * np.eye(3, 8)[y]
    given = np.where(rng.random(samples) < 0.1, (y + 1) % 3, y)
    backend = NumpyBackend(MLP.init((8, 16, 3), seed=0))
    state = backend.initial_state()
    for step in range(200):
        state = backend.sgd_step(state, (x, given), lr=0.1, seed=step)
    return backend.to_model(state), (x, given)


def rows(runs: int, first: int) -> Iterator[Row]:
    """One row for each number of chains, score, kind of interval and level."""
    model, data = trained()
    for chains in CHAINS:
        method = gx.GEX(chains=chains, snapshots=8, lr=0.05, steps_per_snapshot=8, batch_size=32)
        fits = [
            gx.GEX(**{**vars(method), "seed": seed}).fit(model, data, progress=False)
            for seed in range(first, first + runs)
        ]
        for of in ("suspicion", "self_influence"):
            scores = np.stack(
                [fit.suspicion() if of == "suspicion" else fit.self_influence() for fit in fits]
            )
            truth = scores.mean(axis=0)
            errors = np.stack([fit.standard_error(of=of) for fit in fits])
            for level in LEVELS:
                ends = [fit.confidence_interval(level, of=of) for fit in fits]
                far = NormalDist().inv_cdf((1 + level) / 2) * errors
                kinds = {
                    "t": [(low <= truth) & (truth <= high) for low, high in ends],
                    "normal": np.abs(scores - truth) <= far,
                }
                for kind, covered in kinds.items():
                    yield {
                        "chains": chains,
                        "score": of,
                        "interval": kind,
                        "level": level,
                        "runs": runs,
                        "samples": len(truth),
                        "coverage": round(float(np.mean(covered)), 4),
                    }


def table(rows: list[Row]) -> str:
    """One line for each score and number of chains."""
    kinds = [(kind, level) for kind in ("t", "normal") for level in LEVELS]
    head = ["score", "chains", *(f"{kind}, {level:.0%}" for kind, level in kinds)]
    lines = []
    for (score, chains), part in groups(rows, "score", "chains").items():
        found = {(row["interval"], row["level"]): f"{row['coverage']:.1%}" for row in part}
        lines.append([f"`{score}`", str(chains), *(found[kind] for kind in kinds)])
    return markdown(head, sorted(lines, key=lambda line: (line[0] != "`suspicion`", int(line[1]))))


def main() -> int:
    made = parser(__doc__)
    made.add_argument("--runs", type=int, default=200)
    made.add_argument("--first", type=int, default=0, help="seed of the first run")
    args = made.parse_args()
    print(table(read(args.table) if args.table else written(rows(args.runs, args.first), args.out)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
