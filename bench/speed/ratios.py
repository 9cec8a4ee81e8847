"""What scoring, making members and derivatives cost, as ratios to the same work written by hand.

    python bench/speed/ratios.py [--framework torch] [--rounds 5] [--out rows.jsonl]

Every framework is timed in a process of its own, with one thread; CPU time; in each round every
piece of work once, in random order. The models are those of `bench/costs`. θ* and 8 members are
scored, on one batch of 128 and on four; by hand are as many forward passes over a batch in memory.
A chunk has 20 steps (5 where they would take more than half a second) and reads its batches, 16 to
an epoch, in a new order; by hand are as many training steps, with a permutation before each epoch
and indexing before each step. Derivatives
along 16 directions are per direction, as ratios to one forward pass; JVPs and central differences
are timed for 4 directions, derivatives in 3 rounds. Prints a Markdown table: medians with
quartiles.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parent.parent / "costs"))

from study import FRAMEWORKS, ONE_THREAD, processor

WAYS = {"directions": 16, "by gradients": 16, "by jvp": 4, "by differences": 4}
HEADS = (
    "framework", "model", "scoring, one batch", "scoring, four", "steps",
    "16 directions, each", "by gradients", "by JVP", "by central differences",
)  # fmt: skip


def told(ratios: Any) -> str:
    low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    return f"{middle:.2f} ({low:.2f} – {high:.2f})"


def line(row: dict[str, Any]) -> str:
    times = {name: np.array(values) for name, values in row["times"].items()}
    cells = [row["framework"], row["model"]]
    for ours, bare in (
        ("scoring", "bare forwards"),
        ("scoring more", "more bare forwards"),
        ("generation", "bare steps"),
    ):
        cells.append(told(times[ours] / times[bare]))
    cells += [
        told(times[way] / times["bare forward"] / n) if way in times else "–"
        for way, n in WAYS.items()
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--framework", choices=FRAMEWORKS, help="one only")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="where to write all rows as JSON lines")
    arguments = parser.parse_args()
    print(
        f"{processor()}, load average {os.getloadavg()[0]:.1f}\n\n| {' | '.join(HEADS)} "
        f"|\n|{' --- |' * len(HEADS)}"
    )
    for framework in [arguments.framework] if arguments.framework else FRAMEWORKS:
        command = [
            sys.executable,
            str(Path(__file__).with_name("one.py")),
            framework,
            str(arguments.rounds),
        ]
        done = subprocess.run(
            command, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, text=True, check=True
        )
        rows = [json.loads(row) for row in done.stdout.splitlines()]
        print("\n".join(line(row) for row in rows), flush=True)
        if arguments.out:
            with arguments.out.open("a") as file:
                file.write(done.stdout)


if __name__ == "__main__":
    main()
