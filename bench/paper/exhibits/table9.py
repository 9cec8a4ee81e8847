"""Table 9: test accuracy after relabelling, on MNIST and SVHN."""

from bench.paper.exhibits.relabelling import relabel

TITLE = "Table 9: accuracy after relabelling, MNIST and SVHN"
CASES = ("MNIST", "SVHN")


def tasks(context, seed, methods):
    return relabel(CASES, context, seed, methods)
