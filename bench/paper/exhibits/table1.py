"""Table 1: wrong labels found on CIFAR, with drawn labels and with those of people."""

from bench.paper.exhibits.detection import detect

TITLE = "Table 1: wrong labels found"
CASES = ("CIFAR-10", "CIFAR-100", "CIFAR-10-N", "CIFAR-100-N")


def tasks(context, seed, methods):
    return detect(CASES, context, seed, methods)
