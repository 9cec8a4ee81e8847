"""Table 15: ViT and Mixer trained again, on distilled targets for what a detector finds."""

from bench.paper.detectors import PAPER
from bench.paper.exhibits.relabelling import relabel

TITLE = "Table 15: accuracy after distillation, ViT and Mixer"
CASES = ("ViT-S-32", "MLP-Mixer-S-32")
ROWS = tuple(d for d in PAPER if d.row in ("EL2N", "GEX"))


def tasks(context, seed, methods):
    return relabel(CASES, context, seed, methods, rows=ROWS, how="distill")
