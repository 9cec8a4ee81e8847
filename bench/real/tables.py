"""The study's rows as Markdown."""

from __future__ import annotations

import numpy as np
from rows import COLUMNS, Row


def mean(values: list[float]) -> str:
    """Mean ± standard deviation, and of how many where that is not obvious."""
    if not values:
        return "–"
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values):.3f}" if len(values) > 1 else "")


def tables(rows: list[Row]) -> str:
    """Average precision by problem, and what the thresholds decided, as Markdown."""
    names = [name for name in COLUMNS if any(name in row.get("ap", {}) for row in rows)]
    lines = [
        "| data | model | noise | runs | fitted | " + " | ".join(names) + " |",
        "| --- " * (len(names) + 5) + "|",
    ]
    kinds = dict.fromkeys((row["data"], row["optimizer"], row["fit"], row["noise"]) for row in rows)
    parts = {
        kind: [r for r in rows if (r["data"], r["optimizer"], r["fit"], r["noise"]) == kind]
        for kind in kinds
    }
    for (name, optimizer, fit, noise), part in parts.items():
        if "ap" in part[0]:
            told = [mean([row["ap"][n] for row in part if n in row["ap"]]) for n in names]
            fitted = f"{np.mean([row['fitted'] for row in part]):.2f}"
            lines.append(
                f"| {name} | {fit}, {optimizer} | {noise} | {len(part)} | {fitted} | "
                + " | ".join(told)
                + " |"
            )
    lines += [
        "",
        "| data | model | noise | threshold | flagged | precision | recall | members | % of "
        "pretraining | capped | CPU s (training) |",
    ]
    lines.append("| --- " * 11 + "|")
    for (name, optimizer, fit, noise), part in parts.items():
        decided = [row for row in part if row["threshold"] != "refused"]

        def told_of(key: str, of: list[Row], digits: int) -> str:
            values = [row[key] for row in of if row.get(key) is not None]
            return f"{np.mean(values):.{digits}f}" if values else "–"

        lines.append(
            f"| {name} | {fit}, {optimizer} | {noise} | decided in {len(decided)} of {len(part)} | "
            f"{max(row['flagged'] for row in part):.1%} | {told_of('precision', decided, 2)} | "
            f"{told_of('recall', decided, 2)} | {told_of('members', part, 0)} | "
            f"{told_of('percent_of_pretraining', part, 0)} | "
            f"{told_of('percent_capped', part, 0)} | "
            f"{told_of('seconds', part, 0)} ({told_of('training_seconds', part, 0)}) |"
        )
    return "\n".join(lines)
