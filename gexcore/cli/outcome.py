"""What any method's fit found, in the columns of scores.csv."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.cli.text import doubts
from gexcore.decisions.threshold import Suspects
from gexcore.estimators.lissa import Solved
from gexcore.estimators.loo import Retrained
from gexcore.evaluation.passes import sum_passes
from gexcore.influence.influence import Influence
from gexcore.influence.loss_influence import THRESHOLD_CLIP, LossInfluence
from gexcore.influence.record import Run
from gexcore.scores.result import Scores


class Outcome(NamedTuple):
    """Scores of every sample, those that are suspect, the run, and what `run.json` says of it."""

    columns: Mapping[str, NDArray[Any]]
    suspects: Suspects
    run: Run
    record: Mapping[str, Any]


def outcome_of(result: Any) -> Outcome:
    """The outcome of a fit; of a solver this is where it solves."""
    if isinstance(result, Solved):
        own = result.self_influence()
        passes = sum_passes([result.run.passes, result.passes(len(result))])
        result = _scores(own, result.given.seen.labels, replace(result.run, passes=passes))
    elif isinstance(result, Retrained):
        own = np.full(result.run.samples, np.nan)
        own[result.indices] = result.self_influence()
        result = _scores(own, result.labels, result.run)
    assert isinstance(result, Influence | Scores)
    record = result.record() if isinstance(result, Influence) else result.run.to_dict()
    return Outcome(result.columns(), result.suspects(), result.run, record)


def _scores(own: NDArray[np.float64], labels: NDArray[np.intp] | None, run: Run) -> Scores:
    return Scores(own, labels, "self-influence", "mislabelled", run)


def summary(result: Any, outcome: Outcome) -> str:
    """How many samples, the cost, how many suspects or why none are named, and what is doubtful."""
    run, threshold = outcome.run, outcome.suspects.threshold
    cost = (
        f"{run.seconds:.1f} s, as much as {run.passes.epochs(run.samples):.0f} forward passes "
        "over the data"
    )
    if threshold.value is not None:
        of, told = _scale(result)
        verdict = (
            f"{len(outcome.suspects.indices)} suspects, {of} above {threshold.value:.3g}: "
            f"{threshold.reason}{told}"
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
        # the verdict has already said so
        verdict += doubts(
            [finding for finding in result.diagnose() if finding.name != "no_separate_mode"]
        )
    return f"{run.samples} samples scored by {run.method} on {run.backend} in {cost}\n{verdict}"


def _scale(result: Any) -> tuple[str, str]:
    """What a threshold is on, and how many labels look wrong where that can be said."""
    if not isinstance(result, LossInfluence):
        return ("of suspicion" if isinstance(result, Scores) else "of self-influence"), ""
    share, low, high = result.noise_rate()
    told = f"\nabout {share:.1%} of the labels look wrong ({low:.1%} to {high:.1%} over resamples)"
    return f"of mean loss (clipped at {THRESHOLD_CLIP:g})", told
