"""Table 4: which of two sources a sample came from, told by its score."""

from collections.abc import Callable

import numpy as np

from bench.paper import readers
from bench.paper.cases import Case, mnist_full, mnist_small, usps_small
from bench.paper.detectors import Detector, chosen
from bench.paper.exhibits.detection import ROWS, about
from bench.paper.harness import Task
from bench.paper.problem import Problem
from bench.paper.readers import Part
from bench.paper.views import reduced
from bench.studies.rows import Row
from gexcore.decisions.separate import separate

TITLE = "Table 4: two sources told apart"
CELL = "MNIST and SVHN"
EACH = 25_000


def tasks(context, seed, methods):
    case = Case(
        CELL, two_full, two_small, "resnet18",
        "500 digits of MNIST and USPS, at 16 × 16; USPS stands in for SVHN", "none", 0.0,
    )  # fmt: skip
    problem = Problem(case, context, seed)
    for detector in chosen(methods, ROWS):
        yield Task({"cell": CELL, "row": detector.row}, told_apart(problem, detector))


def told_apart(problem: Problem, detector: Detector) -> Callable[[], Row]:
    """AUC and AP for the second source, with high scores and with low ones."""

    def run() -> Row:
        scored = problem.scored(detector)
        found = separate(scored.values, source_of(problem))
        return {
            **about(problem), "auc": 100 * found.high.auc, "ap": 100 * found.high.average_precision,
            "auc_low": 100 * found.low.auc, "ap_low": 100 * found.low.average_precision,
            "passes": round(scored.passes, 1), "seconds": round(scored.seconds, 2),
        }  # fmt: skip

    return run


def source_of(problem: Problem) -> np.ndarray:
    """0 for the first source, 1 for the second; at quick scale there is one, cut in two."""
    source = problem.split.source
    return np.arange(problem.samples) % 2 if source is None else source


def two_small(folder):
    """Equal parts of MNIST and USPS, at 16 × 16."""
    first, second = mnist_small(folder), usps_small(folder)
    parts = [both(Part(reduced(reduced(a.x, 32), 16), a.y), b)
             for a, b in zip(first[:2], second[:2], strict=True)]  # fmt: skip
    return parts[0][0], parts[1][0], {"source": parts[0][1]}


def two_full(folder):
    """25,000 digits each of MNIST and SVHN, in colour at 32 × 32."""
    first = mnist_full(folder)
    parts = []
    for a, part in zip(first[:2], ("train", "test"), strict=True):
        pixels = reduced(a.x, 32).repeat(3, axis=1)
        parts.append(both(Part(pixels, a.y), readers.svhn(folder, part)))
    return parts[0][0], parts[1][0], {"source": parts[0][1]}


def both(a: Part, b: Part) -> tuple[Part, np.ndarray]:
    """Equally many of each, at most `EACH`."""
    rng, most = np.random.default_rng(11), min(len(a.y), len(b.y), EACH)
    rows = [np.sort(rng.permutation(len(part.y))[:most]) for part in (a, b)]
    x = np.concatenate([part.x[chosen] for part, chosen in zip((a, b), rows, strict=True)])
    y = np.concatenate([part.y[chosen] for part, chosen in zip((a, b), rows, strict=True)])
    return Part(x, y), np.repeat([0, 1], most)
