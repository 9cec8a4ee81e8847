"""Pruning: the samples of lowest score go, and the net is trained again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from bench.paper.detectors import OURS, PAPER, Detector, chosen
from bench.paper.exhibits.detection import about
from bench.paper.exhibits.relabelling import as_given, retrained
from bench.paper.harness import Task
from bench.paper.problem import Context, Problem
from bench.studies.rows import Row
from gexcore.decisions.prune import prune, random_subset

SHARES = (0.67, 0.33)
"""Shares that are kept, beside all."""
ROWS = tuple(d for d in (*PAPER, OURS[0]) if d.row not in ("Deep-KNN", "CL", "TracIn"))


def pruned(
    cases: Iterable[str],
    context: Context,
    seed: int,
    methods: str,
    *,
    rows: tuple[Detector, ...] = ROWS,
    shares: tuple[float, ...] = SHARES,
) -> Iterator[Task]:
    """One task for each case, detector and share, on right labels."""
    for case in cases:
        problem = Problem(case, context, seed, noise="none", rate=0.0)
        yield Task({"cell": case, "row": "all samples", "percent": 100}, as_given(problem))
        for share in shares:
            percent = round(100 * share)
            key: dict[str, Any] = {"cell": case, "percent": percent}
            yield Task({**key, "row": "random"}, without(problem, None, share))
            for detector in chosen(methods, rows):
                yield Task({**key, "row": detector.row}, without(problem, detector, share))


def without(problem: Problem, detector: Detector | None, share: float) -> Callable[[], Row]:
    """The accuracy on what is kept."""

    def run() -> Row:
        if detector is None:
            kept = random_subset(problem.samples, share, seed=problem.seed)
        else:
            kept = prune(problem.scored(detector).values, share)
        left = len(np.unique(problem.split.given[kept]))
        accuracy = retrained(problem, kept, problem.split.given[kept])
        return {**about(problem), "kept": len(kept), "classes_left": left, "accuracy": accuracy}

    return run
