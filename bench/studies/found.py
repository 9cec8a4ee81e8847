"""What GEX finds on one model: how well GEX and fixed learning rates find its wrong labels,
and at what cost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gexcore as gx
from bench.studies.rows import Row
from gexcore.decisions.metrics import average_precision
from gexcore.errors import AllMembersDivergedError

COLUMNS = (
    "GEX() suspicion",
    "oracle lr",
    "GEX(pretraining_epochs=…)",
    "GEX() transition",
    "GEX() rival",
    "GEX() clipped_loss",
    "GEX() self_influence",
    "paper's recipe, E2",
    "plain loss",
    "EL2N (from scratch)",
    "5-fold confident learning",
)
GRID = {
    "sgd": tuple(0.02 * 2.0**k for k in range(7)),
    "adamw": tuple(1e-3 * 2.0**k for k in range(7)),
}
"""Fixed learning rates; the best of them by the true mask is the oracle."""


def found_by_gex(
    usual: gx.LossInfluence, capped: gx.LossInfluence, wrong: NDArray[np.bool_], *, epochs: float
) -> Row:
    """Of a run by the defaults, and of one that was told how many epochs the training took."""
    found = usual.suspects()
    hits = int(wrong[found.indices].sum())
    cost, less = (100 * run.run.passes.epochs(len(wrong)) / (3 * epochs) for run in (usual, capped))
    row: Row = {
        "members": usual.run.count()["member"],
        "percent_of_pretraining": cost,
        "percent_capped": less,
        "findings": [finding.name for finding in usual.diagnose()],
        "capped_findings": [finding.name for finding in capped.diagnose()],
        "threshold": found.threshold.method,
        "flagged": len(found.indices) / len(wrong),
        "precision": hits / len(found.indices) if len(found.indices) else None,
        "recall": hits / int(wrong.sum()) if wrong.any() else None,
        "fitted": float((usual.checkpoint_losses[wrong] < np.log(2)).mean())
        if wrong.any()
        else None,
    }
    if not wrong.any():
        return row
    scores = {
        "plain loss": usual.checkpoint_losses,
        "GEX() suspicion": usual.suspicion(),
        "GEX(pretraining_epochs=…)": capped.suspicion(),
        "GEX() transition": usual.suspicion("transition"),
        "GEX() rival": usual.suspicion("rival"),
        "GEX() clipped_loss": usual.suspicion("clipped_loss"),
        "GEX() self_influence": np.nan_to_num(usual.self_influence()),
    }
    return {**row, "ap": precisions(scores, wrong)}


def found_in_hindsight(
    fit: Callable[..., gx.LossInfluence], wrong: NDArray[np.bool_], *, optimizer: Any
) -> Row:
    """Of geometric members at the best of fixed learning rates, by the true mask."""
    by_rate, decay = {}, gx.GEX(optimizer=optimizer).optimizer_for(len(wrong)).weight_decay
    for lr in GRID[optimizer]:
        with suppress(AllMembersDivergedError):  # it is not the best one then
            members = fit(lr=lr, chains=1, weight_decay=decay, optimizer=optimizer)
            by_rate[lr] = average_precision(members.suspicion(), wrong)
    best = max(by_rate, key=by_rate.__getitem__)
    return {"oracle": best, "ap": {"oracle lr": by_rate[best]}}


def precisions(scores: dict[str, Any], wrong: NDArray[np.bool_]) -> dict[str, float]:
    """Average precision of each."""
    return {name: average_precision(value, wrong) for name, value in scores.items()}


def merged(*rows: Row) -> Row:
    """One row of several, of their APs too."""
    whole = {name: value for row in rows for name, value in row.items()}
    aps = {name: value for row in rows for name, value in row.get("ap", {}).items()}
    return {**whole, **({"ap": aps} if aps else {})}
