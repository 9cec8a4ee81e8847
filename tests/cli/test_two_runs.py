"""Two runs into one folder: who does not hold the lock touches nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

MODEL = """
import time
from pathlib import Path
import numpy as np
from gexcore_numpy import MLP, NumpyBackend

class Held(NumpyBackend):
    # waits where the file HOLD says: in the pass over θ*, or in a step
    def _wait(self, where):
        while (hold := Path("HOLD")).exists() and hold.read_text() == where:
            Path("held").touch()
            time.sleep(0.01)

    def forward(self, state, batch, /):
        self._wait("forward")
        return super().forward(state, batch)

    def sgd_step_(self, state, batch, /, **how):
        self._wait("step")
        return super().sgd_step_(state, batch, **how)

def build():
    return Held(MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)]))
"""
SCORE = [sys.executable, "-m", "gexcore", "score", "model.py:build", "data.npz", "--quiet"]
SETTINGS = ["--chains", "1", "--snapshots", "3", "--lr", "0.1", "--weight-decay", "0"]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    np.savez(tmp_path / "data.npz", x=rng.normal(size=(60, 2)) + 4 * y[:, None], y=y)
    (tmp_path / "model.py").write_text(MODEL)
    yield tmp_path
    (tmp_path / "HOLD").unlink(missing_ok=True)


def begin(folder: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*SCORE, *SETTINGS, "--out", "audit", *more],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def held(folder: Path, where: str) -> subprocess.Popen[str]:
    """A run that waits there."""
    (folder / "HOLD").write_text(where)
    process = begin(folder)
    until(lambda: (folder / "held").exists() or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    return process


def until(reached: Callable[[], bool]) -> None:
    ends = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < ends
        time.sleep(0.01)


def content(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


@pytest.mark.parametrize("where", ["forward", "step"])
@pytest.mark.parametrize("more", [(), ("--seed", "1")], ids=["same", "another"])
def test_the_second_touches_nothing_of_the_first(
    folder: Path, where: str, more: tuple[str, ...]
) -> None:
    first = held(folder, where)
    before = content(folder / "audit")
    second = begin(folder, *more)
    _, said = second.communicate(timeout=120)
    assert second.returncode == (2 if more else 1)
    assert f"audit is being written to by process {first.pid} on" in said or "seed" in said
    assert said.count("\n") == 1
    assert content(folder / "audit") == before
    (folder / "HOLD").unlink()
    _, said = first.communicate(timeout=120)
    assert (first.returncode, said) == (0, "")
    assert (folder / "audit" / "scores.csv").exists()
    assert not (folder / "audit" / ".lock").exists()


def test_a_lock_ends_with_its_process(folder: Path) -> None:
    first = held(folder, "step")
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    assert (folder / "audit" / ".lock").exists()
    (folder / "HOLD").unlink()
    again = begin(folder)
    _, said = again.communicate(timeout=120)
    assert (again.returncode, said) == (0, "")


def test_of_many_at_once_one_scores_and_none_is_lost(folder: Path) -> None:
    """However they meet, a run ends, and the scores are those of a run alone."""
    runs = [begin(folder) for _ in range(4)]
    ended = [(run.communicate(timeout=300)[1], run.returncode) for run in runs]
    assert 0 in [code for _, code in ended]
    for said, code in ended:
        busy = "gexcore: audit is being written to by .*; wait until it ends, or choose another .*"
        assert (code, said) == (0, "") or (code == 1 and re.fullmatch(f"{busy}\n", said)), said
    found = content(folder / "audit")
    (folder / "audit").rename(folder / "together")
    alone = begin(folder)
    alone.communicate(timeout=120)
    assert content(folder / "audit")["scores.csv"] == found["scores.csv"]
