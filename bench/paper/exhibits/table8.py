"""Table 8: wrong labels found on MNIST and SVHN."""

from bench.paper.exhibits.detection import detect

TITLE = "Table 8: wrong labels found on MNIST and SVHN"
CASES = ("MNIST", "SVHN")


def tasks(context, seed, methods):
    return detect(CASES, context, seed, methods)
