"""Kills `gexcore score` at random moments and compares what the same command then writes with an
uninterrupted run.

    python -m bench.studies.killed_runs --kills 50

Each kill is a SIGKILL to a fresh run, at a moment drawn evenly over the time from when its store
appears to the end of the uninterrupted run; the command is then given again until it ends. Prints,
for every kill, how much had been stored, and whether all files are equal.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

MODEL = """
import numpy as np
from gexcore_numpy import MLP, NumpyBackend

def build():
    x, y = (np.load("data.npz")[name] for name in "xy")
    backend = NumpyBackend(MLP.init((8, 64, 3), seed=0))
    state = backend.initial_state()
    for step in range(200):
        state = backend.sgd_step(state, (x, y), lr=0.1, seed=step)
    return backend.to_model(state)
"""
FILES = ("scores.csv", "predictions.npz")


def command(out: str) -> list[str]:
    """The command line of one run."""
    return [
        sys.executable,
        "-m",
        "gexcore",
        "score",
        "model.py:build",
        "data.npz",
        "--out",
        out,
        "--quiet",
    ]


def stored(out: Path) -> int:
    """Snapshots in the store."""
    records = (out / "store" / "checkpoints").glob("chain-*.json")
    return sum(len(json.loads(path.read_bytes())["content"]["snapshots"]) for path in records)


def begin(out: Path, folder: Path) -> subprocess.Popen[bytes]:
    """A run whose store has just appeared."""
    process = subprocess.Popen(command(out.name), cwd=folder)
    while not (out / "store" / "checkpoints").exists() and process.poll() is None:
        time.sleep(0.005)
    return process


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.py").write_text(MODEL)
        y = rng.integers(0, 3, 400)
        np.savez(folder / "data.npz", x=rng.normal(size=(400, 8)) + 2 * np.eye(3, 8)[y], y=y)
        with begin(folder / "whole", folder) as process:
            started = time.perf_counter()
            process.wait()
            length = time.perf_counter() - started
        print(f"uninterrupted: {length:.1f} s, {stored(folder / 'whole')} snapshots", flush=True)
        same = 0
        for kill in range(args.kills):
            out, moment = folder / f"killed{kill}", rng.uniform(0, length)
            with begin(out, folder) as process:
                time.sleep(moment)
                process.kill()
            had = stored(out)
            subprocess.run(command(out.name), cwd=folder, check=True)
            equal = all(
                (out / f).read_bytes() == (folder / "whole" / f).read_bytes() for f in FILES
            )
            same += equal
            print(
                f"kill {kill}: after {moment:.2f} s with {had} snapshots stored: "
                f"{'same' if equal else 'DIFFERENT'}",
                flush=True,
            )
    print(f"{same}/{args.kills} identical")
    return 0 if same == args.kills else 1


if __name__ == "__main__":
    sys.exit(main())
