"""Tables of `ensembles_compared`: where each ensemble wins, its cost, and the aims."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from bench.studies.noise_kinds import FROZEN
from bench.studies.rows import Row
from bench.studies.tables import groups, markdown
from gexcore.ensembles.start import SCALE

COLUMNS = (
    "geometric, transition", "relearning, transition", "geometric, rival", "relearning, rival",
    "geometric, clipped_loss", "relearning, clipped_loss", "plain_loss", "EL2N (from scratch)",
    "AUM", "mean checkpoint loss", "5-fold confident learning", "paper's recipe, E2",
)  # fmt: skip
GEOMETRIC, RELEARNING = COLUMNS[:2]
EL2N, PLAIN = "EL2N (from scratch)", "plain_loss"
FITS = ("memorised", "early", "linear")
CHOSEN = "chosen"
"""The column of the choice: relearning, or geometric where that is unskilled or its scale rose."""


def with_choice(row: Row) -> Row:
    """The row with the AP, the threshold and the passes of the choice."""
    first = row["relearning"]
    again = "unskilled" in first["findings"] or first["scale"] > SCALE
    part = row["geometric"] if again else first
    passes = first["passes"] + (part["passes"] if again else 0.0)
    seconds = first["seconds"] + (part["seconds"] if again else 0.0)
    ap = row["ap"]
    if ap:
        ap = {**ap, CHOSEN: ap[GEOMETRIC if again else RELEARNING]}
    return {**row, "ap": ap, CHOSEN: {**part, "passes": passes, "seconds": seconds}}


def table(rows: list[Row]) -> str:
    """Four tables: by kind of noise, by model, cost and thresholds, and aims."""
    full = [with_choice(row) for row in rows]
    return "\n\n".join([by_kind(full), by_model(full), by_ensemble(full), aims(full)])


def mean(rows: list[Row], name: str) -> str:
    """Mean AP of a column over the rows that have it."""
    values = [row["ap"][name] for row in rows if name in row["ap"]]
    return f"{np.mean(values):.2f}" if values else "–"


HALVES = ("chosen on", "others", "fresh")


def half(row: Row) -> str:
    """Whether the row's data chose the rule, or the run is later than the rule."""
    if row.get("fresh"):
        return "fresh"
    return "chosen on" if row["data"] in FROZEN else "others"


def by_kind(rows: list[Row]) -> str:
    """Mean AP by kind of noise."""
    lines = []
    found = groups([{**row, "half": half(row)} for row in rows if row["ap"]], "half", "fit", "kind")
    for told, fit in product(HALVES, FITS):
        for key, part in sorted((k, p) for k, p in found.items() if k[:2] == (told, fit)):
            means = [mean(part, name) for name in COLUMNS]
            lines.append((*map(str, key), str(len(part)), *means))
    return markdown(("data", "model", "noise", "runs", *COLUMNS), lines)


def by_model(rows: list[Row]) -> str:
    """Mean AP by data and model, and of the choice."""
    names = (GEOMETRIC, RELEARNING, CHOSEN, PLAIN, EL2N)
    found = [{**row, "half": half(row)} for row in rows if row["ap"]]
    lines = [
        (*map(str, key), str(len(part)), *(mean(part, name) for name in names))
        for key, part in groups(found, "half", "data", "fit").items()
    ]
    return markdown(("half", "data", "model", "runs", *names), lines)


def by_ensemble(rows: list[Row]) -> str:
    """Costs and thresholds of each ensemble and of the choice."""
    lines = []
    for told, name in product(HALVES, ("geometric", "relearning", CHOSEN)):
        part = [row for row in rows if half(row) == told]
        if not part:
            continue
        parts: list[dict[str, Any]] = [row[name] for row in part]
        noisy = [p for p, row in zip(parts, part, strict=True) if row["ap"] and p["flagged"]]
        clean = [p["flagged"] for p, row in zip(parts, part, strict=True) if not row["ap"]]
        share = [p["seconds"] / row["training_seconds"] for p, row in zip(parts, part, strict=True)]
        lines.append(
            (
                told,
                name,
                str(len(part)),
                f"{np.median([p['passes'] for p in parts]):.0f}",
                f"{np.median(share):.0%}",
                f"{len(noisy)}",
                f"{np.mean([p['precision'] for p in noisy]):.2f}" if noisy else "–",
                f"{np.mean([p['recall'] for p in noisy]):.2f}" if noisy else "–",
                f"{max(clean):.1%} of {len(clean)} runs" if clean else "–",
            )
        )
    head = (
        "data", "ensemble", "runs", "passes, median", "CPU seconds, share of the training",
        "thresholds decided", "precision", "recall", "clean data flagged, most",
    )  # fmt: skip
    return markdown(head, lines)


def aims(rows: list[Row]) -> str:
    """The aims, with what each ensemble and the choice reach on runs that did not choose "relearn".

    Fresh runs chose nothing at all.
    """
    lines = []
    for told, name in product(HALVES[1:], (GEOMETRIC, RELEARNING, CHOSEN)):
        noisy = [row for row in rows if row["ap"] and half(row) == told]
        if not noisy:
            continue

        def less(other: str, part: list[Row], name: str = name) -> np.ndarray:
            return np.array([row["ap"][name] - row["ap"][other] for row in part] or [np.nan])

        memorised = [row for row in noisy if row["fit"] == "memorised"]
        others = [row for row in noisy if row["fit"] != "memorised"]
        early, plain = less(EL2N, memorised), less(PLAIN, noisy)
        one_way = less(PLAIN, [row for row in noisy if row["kind"].startswith("one_way")])
        lines.append(
            (
                told,
                name,
                f"{np.median(early):+.3f}",
                f"{np.mean(early >= -0.05):.0%}",
                f"{(plain < -0.05).sum()} of {len(plain)}, worst {plain.min():+.2f}",
                f"{np.median(less(PLAIN, others)):+.3f}",
                f"{one_way.min():+.3f}",
                _mnist(noisy, "pair:0.2", name),
                _mnist(noisy, "uniform:0.1", name),
            )
        )
    head = (
        "data", "score", "AP − EL2N, median of memorised", "AP − EL2N ≥ −0.05",
        "more than 0.05 below plain loss", "AP − plain, median of others",
        "one-directional: AP − plain, worst", "MNIST net, pairs", "MNIST net, 10 %",
    )  # fmt: skip
    return markdown(head, lines)


def _mnist(rows: list[Row], kind: str, name: str) -> str:
    part = [
        row["ap"][name]
        for row in rows
        if (row["data"], row["fit"], row["kind"]) == ("mnist_cnn", "memorised", kind)
    ]
    return f"{np.mean(part):.3f} ({len(part)})" if part else "–"
