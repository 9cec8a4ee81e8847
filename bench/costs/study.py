"""What the backends cost, as ratios to the same model called by hand in its framework.

    python bench/costs/study.py [--framework torch] [--rounds 20] [--processes 3] [--out rows.jsonl]

Every framework is timed in processes of its own, with one thread. It is CPU time, so that other
processes disturb little; still, let the machine be idle. Prints a Markdown table: medians over the
rounds of all processes, with their quartiles.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from gexcore.evaluation.timing import Cost, compare

FRAMEWORKS = ("numpy", "sklearn", "torch", "jax", "tensorflow")
ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    **dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def timed(framework: str, rounds: int) -> list[dict[str, Any]]:
    """The rows of one process."""
    command = [sys.executable, str(Path(__file__).with_name("one.py")), framework, str(rounds)]
    done = subprocess.run(
        command, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown, those of one model together."""
    lines = [
        "| framework | model | bare forward, µs per sample | forward | bare step | step | "
        "jvp | step ÷ bare step |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for framework, model in dict.fromkeys((row["framework"], row["model"]) for row in rows):
        part = [row for row in rows if (row["framework"], row["model"]) == (framework, model)]
        times = {
            name: np.concatenate([row["times"][name] for row in part]) for name in part[0]["times"]
        }
        to_forward, to_step = (
            {
                cost.name: cost
                for cost in compare(times, samples=part[0]["samples"], reference=reference)
            }
            for reference in ("bare forward", "bare step")
        )
        cells = [framework, model, f"{1e6 * to_forward['bare forward'].seconds:.2f}"]
        cells += [told(to_forward.get(name)) for name in ("forward", "bare step", "step", "jvp")]
        lines.append(f"| {' | '.join([*cells, told(to_step['step'])])} |")
    return "\n".join(lines)


def told(cost: Cost | None) -> str:
    """A ratio with its quartiles."""
    return "–" if cost is None else f"{cost.ratio:.2f} ({cost.low:.2f} – {cost.high:.2f})"


def processor() -> str:
    """The name that the system gives its processor."""
    listed = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in listed.read_text().splitlines()
        if "model name" in line
    ]
    return names[0] if names else platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--framework", choices=FRAMEWORKS, help="one only")
    parser.add_argument("--rounds", type=int, default=20, help="of each process")
    parser.add_argument("--processes", type=int, default=3, help="one after the other")
    parser.add_argument("--out", type=Path, help="where to write all rows as JSON lines")
    arguments = parser.parse_args()
    before = os.getloadavg()[0]
    rows = []
    for framework in [arguments.framework] if arguments.framework else FRAMEWORKS:
        for _ in range(arguments.processes):
            rows += timed(framework, arguments.rounds)
        print(f"{framework} timed", file=sys.stderr)
    if arguments.out:
        arguments.out.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    print(
        f"{processor()}, {os.cpu_count()} cores, of which one thread is used; Python "
        f"{platform.python_version()}; "
        f"{arguments.rounds} rounds in each of {arguments.processes} processes; load average "
        f"{before:.1f} before and "
        f"{os.getloadavg()[0]:.1f} after\n\n{table(rows)}"
    )


if __name__ == "__main__":
    main()
