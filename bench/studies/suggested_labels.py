"""Suggested labels: how often the class that a wrong label came from is named.

    python -m bench.studies.suggested_labels [--kinds uniform:0.1,pair:0.2] [--seeds 3]
        [--out rows.jsonl]

Perceptrons that memorised scikit-learn's digits. The suggestion is compared with the most probable
class by the members, and with the most probable other class by the members. Prints one line per run
as it finishes, then the table; `--table rows.jsonl …` only prints the table of rows that were
written before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

import gexcore as gx
from bench.studies.noise_kinds import Cell, clean, load, trained
from bench.studies.rows import Row, machine, parser, read, written
from bench.studies.tables import markdown, spread
from gexcore.decisions.relabel import relabel_argmax
from gexcore.errors import InvalidModelError, InvalidSettingError

KINDS = ("uniform:0.1", "uniform:0.3", "pair:0.2", "one_way:0.1", "one_way:0.3", "hard:0.2")
ENSEMBLES = {"geometric": gx.Geometric, "relearning": gx.Relearning}
SAID = {"best": "the members' best", "other": "the members' best other", "suggested": "suggested"}


def run(kind: str, seed: int, name: str) -> Row:
    """Shares of wrong labels whose class is named, and of wrong labels after a relabelling."""
    cell = Cell("digits", "sgd", "memorised", kind, seed)
    x, given, wrong = load(cell, None)
    _, true = clean("digits", None)
    found = gx.GEX(ensemble=ENSEMBLES[name](seed=seed)).fit(
        trained(cell, None), (x, given), progress=False
    )
    _, probabilities, suggested = found.predictions()
    named = {
        "best": relabel_argmax(probabilities),
        "other": relabel_argmax(probabilities, given),
        "suggested": suggested,
    }
    top = found.ranking(int(wrong.sum()))
    left = {}
    for method in ("argmax_or_drop", "other", "drop"):
        cleaned = found.relabel(method, top)  # type: ignore[arg-type]
        left[method] = float((cleaned.targets != true[cleaned.indices]).mean())
    return {
        "kind": kind,
        "seed": seed,
        "ensemble": name,
        "samples": len(given),
        "wrong": int(wrong.sum()),
        "named": {
            key: float((labels[wrong] == true[wrong]).mean()) for key, labels in named.items()
        },
        "left": left,
    }


def runs(kinds: str, seeds: int) -> Iterator[Row]:
    """All runs that were asked for; a perceptron that did not learn gives none."""
    for seed in range(seeds):
        for kind in kinds.split(","):
            for name in ENSEMBLES:
                with contextlib.suppress(InvalidModelError, InvalidSettingError):
                    yield run(kind, seed, name)


def table(rows: list[Row]) -> str:
    """Means over seeds."""
    head = (
        "noise",
        "ensemble",
        "runs",
        *SAID.values(),
        "left by argmax_or_drop",
        "by other",
        "by drop",
    )
    lines = []
    for kind in dict.fromkeys(row["kind"] for row in rows):
        for name in ENSEMBLES:
            part = [row for row in rows if (row["kind"], row["ensemble"]) == (kind, name)]
            if part:
                named = [spread([row["named"][key] for row in part], 2) for key in SAID]
                left = [
                    f"{np.mean([row['left'][key] for row in part]):.1%}"
                    for key in ("argmax_or_drop", "other", "drop")
                ]
                lines.append((kind, name, str(len(part)), *named, *left))
    return markdown(head, lines)


def main() -> None:
    arguments = parser(__doc__, seeds=3)
    arguments.add_argument("--kinds", default=",".join(KINDS))
    given = arguments.parse_args()
    if given.table:
        print(table(read(given.table)))
        return
    print(f"{table(written(runs(given.kinds, given.seeds), given.out))}\n\n{machine()}")


if __name__ == "__main__":
    main()
