"""A run that dies in any of its writes goes on with the same command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

MODEL = """
import numpy as np
from gexcore_numpy import MLP

def build():
    return MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
"""
KILLER = """
import os, signal, sys

here, left = os.getcwd() + os.sep, int(os.environ["KILL_AT"])

def watch(event, args):
    global left
    if event == "os.rename" and os.path.abspath(str(args[1])).startswith(here):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
"""
SCORE = ["score", "model.py:build", "data.npz", "--quiet", "--chains", "1", "--snapshots", "3"]


def score(
    folder: Path, out: str, *, kill_at: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Its process kills itself just before this file gets its name."""
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if kill_at is not None:
        variables |= {"PYTHONPATH": str(folder / "killer"), "KILL_AT": str(kill_at)}
    command = [sys.executable, "-m", "gexcore", *SCORE, "--lr", "0.1", "--out", out]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("killed")
    y = np.arange(60) % 2
    x = np.random.default_rng(0).normal(size=(60, 2)) + 4 * y[:, None]
    np.savez(found / "data.npz", x=x, y=y)
    (found / "model.py").write_text(MODEL)
    (found / "killer").mkdir()
    (found / "killer" / "sitecustomize.py").write_text(KILLER)
    assert score(found, "whole").returncode == 0
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is of POSIX")
@pytest.mark.parametrize("at", [0, 1, 2, 3, 4, 5, 8, 13, 21])
def test_the_same_command_goes_on_after_a_death_in_any_write(folder: Path, at: int) -> None:
    died = score(folder, f"out{at}", kill_at=at)
    assert died.returncode == -9, died.stderr
    again = score(folder, f"out{at}")
    assert (again.returncode, again.stderr) == (0, "")
    for name in ("scores.csv", "predictions.npz"):
        assert (folder / f"out{at}" / name).read_bytes() == (folder / "whole" / name).read_bytes()
    left = (path.name for path in (folder / f"out{at}").rglob("*"))
    assert not [name for name in left if name.endswith((".part", ".partial", ".lock"))]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of processes are of POSIX")
@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_a_full_disk_is_one_sentence_and_the_same_command_goes_on(
    folder: Path, blocks: int
) -> None:
    """A limit on the size of files stands for the disk: the store, or only the last files fail."""
    limit = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limit += f"resource.setrlimit(resource.RLIMIT_FSIZE, ({1024 * blocks},) * 2); "
    limit += "from gexcore.cli import main; sys.exit(main(sys.argv[1:]))"
    out = f"full{blocks}"
    command = [sys.executable, "-c", limit, *SCORE, "--lr", "0.1", "--out", out]
    full = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert full.returncode == 1
    assert full.stderr.count("\n") == 1
    assert f"gexcore: {out}/" in full.stderr
    assert "(File too large)" in full.stderr
    assert "make room" in full.stderr
    again = score(folder, out)
    assert (again.returncode, again.stderr) == (0, "")
    assert (folder / out / "scores.csv").read_bytes() == (
        folder / "whole" / "scores.csv"
    ).read_bytes()
