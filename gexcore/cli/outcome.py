"""Outcomes of a fit by any method, in the columns of scores.csv."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

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


def summary(result: Result, outcome: Outcome) -> str:
    """Number of samples, cost, number of suspects or the refusal, and findings."""
    run, threshold = outcome.run, outcome.suspects.threshold
    cost = (
        f"{run.seconds:.1f} s, as much as {run.passes.epochs(run.samples):.0f} forward passes "
        "over the data"
    )
    if threshold.value is not None:
        verdict = (
            f"{len(outcome.suspects.indices)} suspects, of {result.threshold_on} "
            f"above {threshold.value:.3g}: "
            f"{threshold.reason}{_noise(result)}"
        )
    else:
        verdict = f"no threshold: {threshold.reason}"
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
    return f"\nabout {share:.1%} of the labels look wrong ({low:.1%} to {high:.1%} over resamples)"
