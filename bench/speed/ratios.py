"""What scoring, making members and derivatives cost, as ratios to the same work written by hand.

    python bench/speed/ratios.py [--framework torch] [--rounds 7] [--out rows.jsonl]

Every framework is timed in a process of its own, with one thread; CPU time; in each round every
piece of work once, in random order. The models are those of `bench/costs`. By hand are 9 forward
passes over a batch in memory, for scoring θ* and 8 members, and 20 training steps on it, for a
chunk of 20 steps, which reads batches in a new order. Derivatives along 16 directions are per
direction, as ratios to one forward pass. Prints a Markdown table: medians with quartiles.
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

FORWARDS, DIRECTIONS = 9, 16
HEADS = (
    "framework", "model", "scoring ÷ by hand", "20 steps ÷ by hand",
    "16 directions, each", "by gradients", "by JVP", "by central differences",
)  # fmt: skip


def told(ratios: Any) -> str:
    low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    return f"{middle:.2f} ({low:.2f} – {high:.2f})"


def line(row: dict[str, Any]) -> str:
    times = {name: np.array(values) for name, values in row["times"].items()}
    forward = times["bare forwards"] / FORWARDS
    cells = [row["framework"], row["model"], told(times["scoring"] / times["bare forwards"])]
    cells.append(told(times["generation"] / times["bare steps"]))
    ways = ("directions", "by gradients", "by jvp", "by differences")
    cells += [told(times[way] / forward / DIRECTIONS) if way in times else "–" for way in ways]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FRAMEWORKS, help="one only")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="where to write all rows as JSON lines")
    arguments = parser.parse_args()
    print(f"{processor()}, load average {os.getloadavg()[0]:.1f}\n\n| {' | '.join(HEADS)} |\n|{' --- |' * len(HEADS)}")
    for framework in [arguments.framework] if arguments.framework else FRAMEWORKS:
        command = [sys.executable, str(Path(__file__).with_name("one.py")), framework, str(arguments.rounds)]
        done = subprocess.run(command, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, text=True, check=True)
        rows = [json.loads(row) for row in done.stdout.splitlines()]
        print("\n".join(line(row) for row in rows), flush=True)
        if arguments.out:
            with arguments.out.open("a") as file:
                file.write(done.stdout)


if __name__ == "__main__":
    main()
