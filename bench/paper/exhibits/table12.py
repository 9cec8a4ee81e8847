"""Table 12: test accuracy after relabelling where 30 % of the labels are wrong."""

from bench.paper.exhibits.relabelling import relabel

TITLE = "Table 12: accuracy after relabelling where 30 % are wrong"
CASES = ("CIFAR-10", "CIFAR-100")


def tasks(context, seed, methods):
    return relabel(CASES, context, seed, methods, rate=0.3)
