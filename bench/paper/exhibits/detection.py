"""Tables of AUC and AP: the shared part of Tables 1, 2, 4, 8, 10, 11 and 14."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bench.paper.detectors import OURS, PAPER, Detector, chosen, judged
from bench.paper.harness import Task
from bench.paper.problem import Context, Problem
from bench.studies.rows import Row

ROWS = (*PAPER, *OURS)


def detect(
    cases: Iterable[str],
    context: Context,
    seed: int,
    methods: str,
    *,
    rows: tuple[Detector, ...] = ROWS,
    **changed: Any,
) -> Iterator[Task]:
    """One task for each case and detector."""
    for case in cases:
        problem = Problem(case, context, seed, **changed)
        for detector in chosen(methods, rows):
            yield Task({"cell": case, "row": detector.row}, measure(problem, detector))


def measure(problem: Problem, detector: Detector) -> Any:
    """The measurement of one cell: how well the scores find the wrong labels."""

    def run() -> Row:
        scored = problem.scored(detector)
        return {**about(problem), **judged(scored.values, problem.split.wrong),
                "passes": round(scored.passes, 1), "seconds": round(scored.seconds, 2)}  # fmt: skip

    return run


def about(problem: Problem) -> Row:
    """What was trained on what."""
    return {
        "samples": problem.samples, "wrong": round(float(problem.split.wrong.mean()), 4),
        "fitted": problem.fitted, "training_passes": round(problem.left.passes, 1),
        "training_seconds": round(problem.left.seconds, 2),
    }  # fmt: skip
