"""Scores of suspicion for samples with several labels.

    python -m bench.studies.several_labels [--seeds 2,3] [--data segments,made] [--kinds flip]
        [--fits early,memorised] [--out rows.jsonl]

scikit-learn's digits have four labels, their bits, or seven, the lit segments of a display. Two
digits side by side ("mosaic") have ten labels. "made" is `make_multilabel_classification`. A tenth
of the samples has one flipped label ("flip"), lacks one of its positive labels ("missing"), or has
the labels of another sample ("swap"). Perceptrons in PyTorch learn them for 6 epochs ("early"), or
for 150, until they fit the wrong labels too ("memorised"). Seeds 0 and 1 of all data but "segments"
chose the score. Prints one line per run as it finishes, then the table; `--table rows.jsonl …` only
prints the table of rows that were written before.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits, make_multilabel_classification
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

import gexcore as gx
from bench.studies.found import precisions
from bench.studies.rows import Row, machine, parser, read, written
from bench.studies.tables import groups, markdown, spread
from gexcore.decisions.metrics import average_precision

LIT = (126, 48, 109, 121, 51, 91, 95, 112, 127, 123)
"""The lit segments of each digit on a display, as bits."""
DATA = ("segments", "mosaic", "made", "bits")
KINDS = ("flip", "missing", "swap", "clean")
FITS = {"early": (6, 1e-3), "memorised": (150, 3e-3)}
"""Epochs and learning rate of each training."""
SCORES = ("worst_label", "clipped_loss", "both_losses", "plain_loss")
RATE = 0.1


def load(name: str) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Inputs and right labels."""
    if name == "made":
        x, y = make_multilabel_classification(1500, 20, n_classes=8, n_labels=2, random_state=1)
        return ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32), y.astype(bool)
    x, digit = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    if name == "bits":
        return x, (digit[:, None] >> np.arange(4)) % 2 == 1
    if name == "segments":
        return x, (np.array(LIT)[digit, None] >> np.arange(7)) % 2 == 1
    pairs = np.random.default_rng(3).integers(0, len(x), (1800, 2))
    return x[pairs].reshape(len(pairs), -1), np.eye(10, dtype=bool)[digit[pairs]].any(axis=1)


def mislabel(right: NDArray[np.bool_], kind: str, seed: int) -> NDArray[np.bool_]:
    """The given labels."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    given, rows = right.copy(), np.flatnonzero(rng.random(len(right)) < RATE)
    if kind == "swap":
        given[rows] = right[rng.integers(0, len(right), len(rows))]
    elif kind != "clean":
        for row in rows:
            among = np.arange(right.shape[1]) if kind == "flip" else np.flatnonzero(right[row])
            if len(among):
                given[row, rng.choice(among)] ^= True
    return given


def train(x: NDArray[Any], y: NDArray[Any], fit: str, seed: int) -> nn.Module:
    """A perceptron with two hidden layers."""
    torch.manual_seed(seed)
    epochs, lr = FITS[fit]
    model = nn.Sequential(
        nn.Linear(x.shape[1], 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(),
        nn.Linear(128, y.shape[1]),
    )  # fmt: skip
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    optimizer = torch.optim.Adam(model.parameters(), lr)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            binary_cross_entropy_with_logits(model(inputs[batch]), targets[batch]).backward()
            optimizer.step()
    return model.eval()


def runs(names: list[str], kinds: list[str], fits: list[str], seeds: list[int]) -> Iterator[Row]:
    """AP of every score over samples, and of parts over labels."""
    torch.set_num_threads(1)
    for seed, name, kind, fit in product(seeds, names, kinds, fits):
        x, right = load(name)
        given = mislabel(right, kind, seed)
        y, wrong = given.astype(np.float32), given != right
        model = train(x, y, fit, seed)
        found = gx.GEX(seed=seed).fit(model, (x, y), loss="binary_cross_entropy", progress=False)
        scores = {score: found.suspicion(score) for score in SCORES}  # type: ignore[arg-type]
        outputs = model(torch.from_numpy(x))
        trained = binary_cross_entropy_with_logits(outputs, torch.from_numpy(y), reduction="none")
        parts = {"parts": found.part_suspicion(), "plain": trained.detach().numpy()}
        suspects, any_wrong = found.suspects(), wrong.any(axis=1)
        yield {
            "data": name, "kind": kind, "fit": fit, "seed": seed, "samples": len(y),
            "labels": y.shape[1], "chose": seed < 2 and name != "segments",
            "ap": precisions(scores, any_wrong) if wrong.any() else {},
            "label_ap": {
                which: average_precision(part.ravel(), wrong.ravel())
                for which, part in parts.items() if wrong.any()
            },
            "fitted": float((trained.detach().numpy()[wrong] < np.log(2)).mean())
            if wrong.any() else None,
            "threshold": suspects.threshold.method,
            "flagged": len(suspects.indices) / len(y),
            "hits": int(any_wrong[suspects.indices].sum()) / max(1, len(suspects.indices)),
            "passes": round(found.run.passes.epochs(len(y)), 1),
        }  # fmt: skip


def table(rows: list[Row]) -> str:
    """Means over data and seeds, and the worst difference from the plain loss."""
    lines = []
    noisy = [row for row in rows if row["ap"] and not row["chose"]]
    for (fit, kind), part in groups(noisy, "fit", "kind").items():
        cells = [spread([row["ap"][score] for row in part], 2) for score in SCORES]
        worst = [
            f"{min(row['ap'][score] - row['ap']['plain_loss'] for row in part):+.2f}"
            for score in SCORES[:2]
        ]
        labels = [
            f"{np.mean([row['label_ap'][which] for row in part]):.2f}"
            for which in ("parts", "plain")
        ]
        lines.append((str(fit), str(kind), str(len(part)), *cells, *worst, *labels))
    head = (
        "model", "noise", "runs", *SCORES, *(f"{s} − plain, worst" for s in SCORES[:2]),
        "labels: part_suspicion()", "labels: plain",
    )  # fmt: skip
    clean = [row["flagged"] for row in rows if not row["ap"]]
    told = f"\n\n{len(clean)} clean runs: at most {max(clean):.1%} flagged." if clean else ""
    return markdown(head, lines) + told


def main() -> None:
    made = parser(__doc__)
    for name, default in {
        "data": DATA, "kinds": KINDS, "fits": tuple(FITS), "seeds": ("2", "3"),
    }.items():  # fmt: skip
        made.add_argument(f"--{name}", default=",".join(default))
    given = made.parse_args()
    if given.table:
        print(table(read(given.table)))
        return
    names, kinds, fits = (value.split(",") for value in (given.data, given.kinds, given.fits))
    seeds = [int(seed) for seed in given.seeds.split(",")]
    print(f"{table(written(runs(names, kinds, fits, seeds), given.out))}\n\n{machine()}")


if __name__ == "__main__":
    main()
