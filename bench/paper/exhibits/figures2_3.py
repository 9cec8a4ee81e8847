"""Figures 2 and 3: two circles with ten memorised points."""

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
        return [{**row, "row": f"{row['method']} {row['score']}"} for row in
                circles.run(seed, None)]  # fmt: skip
    finally:
        circles.STEPS = steps
