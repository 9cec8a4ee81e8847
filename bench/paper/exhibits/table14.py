"""Table 14: TracInRP on the members of the geometric ensemble."""

from bench.paper.detectors import DETECTORS
from bench.paper.exhibits.detection import detect

TITLE = "Table 14: TracInRP on the ensemble's members"
CASES = ("MNIST", "CIFAR-10", "CIFAR-100", "SVHN")
ROWS = tuple(DETECTORS[row] for row in ("RandProj", "TracInRP", "TracInRP with GE", "GEX"))


def tasks(context, seed, methods):
    return detect(CASES, context, seed, methods, rows=ROWS)
