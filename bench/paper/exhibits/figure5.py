"""Figure 5: pruning of MNIST and SVHN by every method."""

from bench.paper.exhibits.pruning import pruned

TITLE = "Figure 5: pruning of MNIST and SVHN"
CASES = ("MNIST", "SVHN")


def tasks(context, seed, methods):
    return pruned(CASES, context, seed, methods)
