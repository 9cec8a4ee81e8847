"""Figure 1: gradients along random directions, and the distributions of three scores."""

from collections.abc import Callable

import numpy as np

from bench.paper.detectors import DETECTORS, OURS, Detector, judged
from bench.paper.exhibits.detection import about
from bench.paper.harness import Task
from bench.paper.problem import Problem
from bench.studies.rows import Row
from gexcore.theory import normality, projected_gradients
from gexcore.theory.unimodality import unimodality

TITLE = "Figure 1: gradients and self-influences on MNIST"
DIRECTIONS = 5


def tasks(context, seed, methods):
    problem = Problem("MNIST", context, seed)
    yield Task({"cell": "MNIST", "row": "gradients"}, gradients(problem))
    for detector in (*(DETECTORS[row] for row in ("Arnoldi", "TracInRP", "GEX")), OURS[0]):
        yield Task({"cell": "MNIST", "row": detector.row}, distribution(problem, detector))


def gradients(problem: Problem) -> Callable[[], Row]:
    """How far components of the gradients are from a normal distribution."""

    def run() -> Row:
        found = projected_gradients(
            problem.model, problem.data, directions=DIRECTIONS, seed=problem.seed
        )
        told = [normality(row) for row in found]
        return {
            **about(problem), "distance": [round(t.distance, 4) for t in told],
            "normal_below": round(0.9 / np.sqrt(problem.samples), 4),
            "kurtosis": [round(t.excess_kurtosis, 2) for t in told],
            "mean_over_deviation": [round(t.mean / t.deviation, 4) for t in told],
            "components": [[float(f"{v:.3g}") for v in row] for row in found[:1]],
        }  # fmt: skip

    return run


def distribution(problem: Problem, detector: Detector) -> Callable[[], Row]:
    """The scores, whether they have one mode, and how well they tell wrong labels."""

    def run() -> Row:
        values = problem.scored(detector).values
        logs = np.log10(np.maximum(values, 1e-12))
        shape = unimodality(logs, draws=50 if problem.context.scale == "quick" else 500)
        wrong = problem.split.wrong
        return {
            **about(problem), **judged(values, wrong), "dip": round(shape.dip, 4),
            "p_one_mode": shape.p_value, "scores": [float(f"{v:.3g}") for v in values],
            "mislabelled": np.flatnonzero(wrong).tolist(),
        }  # fmt: skip

    return run
