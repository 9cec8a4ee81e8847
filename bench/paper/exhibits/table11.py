"""Table 11: wrong labels found where 30 % are wrong."""

from bench.paper.exhibits.detection import detect

TITLE = "Table 11: wrong labels found where 30 % are wrong"
CASES = ("CIFAR-10", "CIFAR-100")


def tasks(context, seed, methods):
    return detect(CASES, context, seed, methods, rate=0.3)
