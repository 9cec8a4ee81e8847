"""Table 7: AUC and AP by the number of members of the paper's ensemble."""

from collections.abc import Callable

import numpy as np

import gexcore as gx
from bench.paper.detectors import DETECTORS, Detector, judged, paper_gex
from bench.paper.exhibits.detection import about, measure
from bench.paper.harness import Task
from bench.paper.problem import Problem
from bench.studies.rows import Row

TITLE = "Table 7: AP by the number of members"
CASES = ("CIFAR-10", "CIFAR-100")
SIZES = (1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 64)


def tasks(context, seed, methods):
    for case in CASES:
        problem = Problem(case, context, seed)
        yield Task({"cell": case, "fit": "all sizes"}, by_members(problem))
        for row in ("Arnoldi", "TracInRP"):
            yield Task({"cell": case, "row": row}, measure(problem, DETECTORS[row]))


def by_members(problem: Problem) -> Callable[[], list[Row]]:
    """One ensemble of the largest size; smaller ones are its first members."""

    def run() -> list[Row]:
        most = 4 if problem.context.scale == "quick" else max(SIZES)
        settings = paper_gex(problem.setting, problem.samples, problem.context.switches)
        depth = settings["snapshots"]
        made = gx.GEX(**{**settings, "chains": -(-most // depth), "seed": problem.seed})
        problem.left  # noqa: B018 - trained before the clock of the fit starts
        found = problem.fit(Detector("GEX", "GEX"), made)
        rows, wrong = [], problem.split.wrong
        for size in (size for size in SIZES if size <= len(found.table)):
            scores = np.asarray(found.table.select(np.arange(size)).self_influence())
            rows.append({**about(problem), "row": str(size),
                         **judged(np.nan_to_num(scores, posinf=1e30), wrong)})  # fmt: skip
        return rows

    return run
