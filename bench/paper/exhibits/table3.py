"""Table 3: test accuracy after relabelling what each detector finds, on CIFAR."""

from bench.paper.exhibits.relabelling import relabel

TITLE = "Table 3: accuracy after relabelling"
CASES = ("CIFAR-10", "CIFAR-100", "CIFAR-10-N", "CIFAR-100-N")


def tasks(context, seed, methods):
    return relabel(CASES, context, seed, methods)
