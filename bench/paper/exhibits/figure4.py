"""Figure 4: pruning of CIFAR by every method."""

from bench.paper.exhibits.pruning import pruned

TITLE = "Figure 4: pruning of CIFAR"
CASES = ("CIFAR-10", "CIFAR-100")


def tasks(context, seed, methods):
    return pruned(CASES, context, seed, methods)
