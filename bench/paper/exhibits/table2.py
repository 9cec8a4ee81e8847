"""Table 2: wrong labels found by ViT and Mixer with the multi-label loss."""

from bench.paper.detectors import OURS, PAPER
from bench.paper.exhibits.detection import detect

TITLE = "Table 2: wrong labels found with ViT and Mixer"
CASES = ("ViT-S-32", "MLP-Mixer-S-32")
NAMES = ("F-score", "EL2N", "RandProj", "TracInRP", "Arnoldi", "GEX")
ROWS = (*(d for d in PAPER if d.row in NAMES), *OURS)


def tasks(context, seed, methods):
    return detect(CASES, context, seed, methods, rows=ROWS)
