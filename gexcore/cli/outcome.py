"""Outcomes of a fit by any method, in the columns of scores.csv."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.cli.text import doubts
from gexcore.decisions.threshold import Suspects
from gexcore.influence.loss_influence import LossInfluence
from gexcore.influence.record import Run
from gexcore.influence.result import Result


class Outcome(NamedTuple):
    """Scores of every sample, the suspects, the run, and the content of `run.json`."""

    columns: Mapping[str, NDArray[Any]]
    suspects: Suspects
    run: Run
    record: Mapping[str, Any]


def outcome_of(result: Result) -> Outcome:
    """The outcome of a fit; a solver solves here."""
    columns, suspects = result.columns(), result.suspects()
    return Outcome(columns, suspects, result.so_far(), result.record())


def with_names(
    columns: Mapping[str, NDArray[Any]], names: Sequence[Any] | None, ids: NDArray[Any] | None
) -> dict[str, NDArray[Any]]:
    """Columns with the samples' own names, and with the names of classes for their numbers."""
    found = dict(columns)
    if ids is not None:
        found = {"index": found.pop("index"), "id": ids, **found}
    for column in ("label", "suggested_label") if names is not None else ():
        if column in found:
            codes = found[column].tolist()
            cells = [None if code is None else names[code] for code in codes]  # type: ignore[index]
            found[column] = np.array([*cells, None], dtype=object)[:-1]
    return found


def told_as_json(
    record: Mapping[str, Any], found: Suspects, columns: Mapping[str, NDArray[Any]]
) -> dict[str, Any]:
    """The record of a run and its suspects, for `--json`."""
    suspects = [
        {name: column[i] for name, column in columns.items()} for i in found.indices.tolist()
    ]
    record = {name: value for name, value in record.items() if name != "snapshots"}
    return {**record, "threshold": found.threshold._asdict(), "suspects": suspects}


def summary(result: Result, outcome: Outcome) -> str:
    """Number of samples, cost, ensemble, number of suspects or the refusal, and findings."""
    run, threshold = outcome.run, outcome.suspects.threshold
    cost = (
        f"{run.seconds:.1f} s, as much as {run.passes.epochs(run.samples):.0f} forward passes "
        "over the data"
    )
    if run.choice is not None:
        cost += f"\n{run.choice}"
    if threshold.value is not None:
        verdict = (
            f"{len(outcome.suspects.indices)} suspects, of {result.threshold_on} above "
            f"{threshold.value:.3g}: {threshold.reason}{_noise(result)}"
        )
    else:
        verdict = f"no threshold: {threshold.reason}{_noise(result)}"
        if isinstance(result, LossInfluence):
            overlapping = result.suspects("mixture")
            if overlapping.threshold.value is not None:
                share = len(overlapping.indices) / len(result)
                verdict += (
                    f"\nof two overlapping modes the upper one would hold {share:.1%} of the "
                    "samples"
                )
    if isinstance(result, LossInfluence):
        # the verdict already says this
        verdict += doubts(
            [finding for finding in result.diagnose() if finding.name != "no_separate_mode"]
        )
    return f"{run.samples} samples scored by {run.method} on {run.backend} in {cost}\n{verdict}"


def _noise(result: Result) -> str:
    """The share of labels that look wrong, where a result can tell."""
    if not isinstance(result, LossInfluence):
        return ""
    share, low, high = result.noise_rate()
    if math.isnan(share):
        return ""
    return f"\nabout {share:.1%} of the labels look wrong (between {low:.1%} and {high:.1%})"
