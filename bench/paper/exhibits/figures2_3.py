"""Figures 2 and 3: two circles with ten memorised points."""

from typing import Any

from bench.paper.harness import Task
from bench.studies import circles_against_retraining as circles
from bench.studies.rows import Row

TITLE = "Figures 2 and 3: two circles"


def tasks(context, seed, methods):
    yield Task({"cell": "two circles", "fit": "all"}, lambda: measured(context, seed))


def measured(context, seed: int) -> list[Row]:
    """The study's rows; at quick scale of trainings that are broken off."""
    steps = circles.STEPS
    if context.scale == "quick":
        circles.STEPS = 20
    try:
        kept: dict[str, Any] = {}
        rows = circles.run(seed, None, kept)
        names = [f"{row['method']} {row['score']}" for row in rows]
        scores = [[float(f"{v:.3g}") for v in kept.get(name, ())] for name in names]
        return [
            {**row, "row": name, "scores": values}
            for row, name, values in zip(rows, names, scores, strict=True)
        ]
    finally:
        circles.STEPS = steps
