"""Table 6: passes, seconds and memory of every method, and how they grow with N, P and M."""

import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from bench.paper.cases import digits
from bench.paper.detectors import PAPER, Detector, Switches
from bench.paper.harness import Task
from bench.paper.recipes import RECIPES, Setting
from bench.paper.recipes.on_torch import build
from bench.paper.views import pictures
from bench.studies.rows import Row

TITLE = "Table 6: cost, measured"
NAMES = ("TracIn", "TracInRP", "RandProj", "Arnoldi", "GEX-lin", "GEX", "LA")
ROWS = tuple(d for d in PAPER if d.row in NAMES)
SAMPLES, WIDTH, MEMBERS = 300, 32, 4
VARIANTS = {"base": (1, 1, 1), "2 N": (2, 1, 1), "4 P": (1, 4, 1), "2 M": (1, 1, 2)}
CHECKPOINTS = 2


def tasks(context, seed, methods):
    for detector in ROWS:
        for variant in VARIANTS:
            key = {"cell": variant, "row": detector.row}
            yield Task(key, cost(detector, variant, seed))


def cost(detector: Detector, variant: str, seed: int) -> Callable[[], Row]:
    """One fit on digits with a two-layer net; M is the number of members, draws or directions."""
    n, p, m = VARIANTS[variant]

    def run() -> Row:
        train, _, _ = digits(None)
        x = pictures(train.x).reshape(len(train.y), -1)[: n * SAMPLES]
        y = train.y[: n * SAMPLES]
        count = m * MEMBERS
        setting = replace(
            RECIPES["two_layer"].scales["small"], batch_size=50, member_steps=12, members=count,
            draws=count, directions=count, rank=count, iterations=3 * count,
        )  # fmt: skip
        nets = [net(p, seed + i) for i in range(1 + CHECKPOINTS)]
        left = SimpleNamespace(samples=len(y), checkpoints=nets[1:])
        seconds, found = timed(detector, left, setting, nets[0], (x, y), seed)
        passes = found.run.passes
        sizes = sum(value.numel() for value in nets[0].parameters())
        return {
            "samples": len(y), "parameters": sizes, "members": count,
            "passes": round(passes.epochs(len(y)), 2), "seconds": round(seconds, 4),
            "copies": passes.copies, "megabytes": round(4e-6 * sizes * max(1, passes.copies), 3),
        }  # fmt: skip

    return run


def net(times: int, seed: int) -> Any:
    return build("two_layer", seed=seed, classes=10, features=64, width=WIDTH * times)


def timed(
    detector: Detector, left: Any, setting: Setting, model: Any, data: Any, seed: int
) -> tuple[float, Any]:
    """The faster of two fits, in CPU seconds."""
    seconds, found = [], None
    for _ in range(2):
        estimator = detector.make(left, setting, Switches(), seed)
        started = time.process_time()
        found = estimator.fit(model, data, progress=False)
        found.self_influence()
        seconds.append(time.process_time() - started)
    return min(seconds), found
