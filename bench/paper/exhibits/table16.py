"""Table 16: Mixer trained again without the 40 % of lowest score."""

from bench.paper.detectors import PAPER
from bench.paper.exhibits.pruning import pruned

TITLE = "Table 16: accuracy of Mixer without 40 % of the samples"
CASES = ("MLP-Mixer-S-32",)
ROWS = tuple(d for d in PAPER if d.row in ("EL2N", "GEX"))


def tasks(context, seed, methods):
    return pruned(CASES, context, seed, methods, rows=ROWS, shares=(0.6,))
