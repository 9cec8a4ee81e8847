"""Rows of measurements: JSON lines, one for each thing that was measured."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Row = dict[str, Any]
FRAMEWORKS = ("numpy", "sklearn", "torch", "jax", "tensorflow")
ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    **dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def parser(doc: str | None, *, seeds: int | None = None) -> argparse.ArgumentParser:
    """The arguments that studies share."""
    made = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if seeds is not None:
        made.add_argument("--seeds", type=int, default=seeds)
    made.add_argument("--out", type=Path, help="rows as JSON lines, each as soon as it is there")
    made.add_argument("--table", type=Path, nargs="+", help="print the tables of these rows only")
    return made


def read(paths: Iterable[Path]) -> list[Row]:
    """Rows that were written before."""
    return [
        json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()
    ]


def written(rows: Iterable[Row], out: Path | None) -> list[Row]:
    """The rows, each printed as soon as it is there, and appended to `out` with its origin."""
    done, origin = [], f"commit {commit()}, {machine()}" if out else ""
    for row in rows:
        done.append(row)
        print(json.dumps(row), flush=True)
        if out:
            with out.open("a", encoding="utf-8") as file:
                print(json.dumps({**row, "measured": origin}, ensure_ascii=False), file=file)
    return done


def commit() -> str:
    """The state of the code that is measured."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def timed(study: str, framework: str, rounds: int) -> Iterator[Row]:
    """Rows that a study prints for one framework, in a process of its own with one thread."""
    command = [sys.executable, "-m", study, "--one", framework, "--rounds", str(rounds)]
    variables = {**os.environ, **ONE_THREAD}
    done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True, check=True)
    yield from map(json.loads, done.stdout.splitlines())


def machine() -> str:
    """What the measurements were made on."""
    listed = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in listed if line.startswith("model name")]
    return (
        f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, load average "
        f"{os.getloadavg()[0]:.1f}, Python {platform.python_version()}, NumPy {np.__version__}"
    )
