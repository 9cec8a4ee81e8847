"""Table 13: wrong labels found by their mean influence on a test set, where 30 % are wrong."""

from collections.abc import Callable

from bench.paper.detectors import DETECTORS, POST_HOC, Detector, chosen, judged
from bench.paper.exhibits.detection import about
from bench.paper.harness import Task
from bench.paper.problem import Problem
from bench.studies.rows import Row

TITLE = "Table 13: wrong labels found by influence on a test set"
CASES = ("MNIST", "CIFAR-10", "CIFAR-100", "SVHN")
ROWS = tuple(DETECTORS[row] for row in POST_HOC)


def tasks(context, seed, methods):
    for case in CASES:
        problem = Problem(case, context, seed, rate=0.3)
        for detector in chosen(methods, ROWS):
            yield Task({"cell": case, "row": detector.row}, crossed(problem, detector))


def crossed(problem: Problem, detector: Detector) -> Callable[[], Row]:
    """Minus the mean influence on the test set is high for wrong labels."""

    def run() -> Row:
        scored = problem.scored(detector, test=True)
        return {**about(problem), **judged(scored.values, problem.split.wrong),
                "passes": round(scored.passes, 1), "seconds": round(scored.seconds, 2)}  # fmt: skip

    return run
