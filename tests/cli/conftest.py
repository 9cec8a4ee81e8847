"""A small project to score: a model file, its data, and the command line in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from gexcore.cli import main

MODEL = """
import numpy as np
from gexcore_numpy import MLP

def build():
    return MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
"""


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*args: object) -> Outcome:
        code = main([str(arg) for arg in args])
        return Outcome(code, *capsys.readouterr())

    return command


@pytest.fixture(scope="session")
def blobs() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(-2, 1, (60, 2)), rng.normal(2, 1, (60, 2))])
    y = np.repeat([0, 1], 60)
    y[[3, 17, 80]] = 1 - y[[3, 17, 80]]
    return x, y


@pytest.fixture
def project(
    tmp_path: Path,
    blobs: tuple[NDArray[np.float64], NDArray[np.int64]],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The working directory: model.py and data.npz."""
    (tmp_path / "model.py").write_text(MODEL)
    np.savez(tmp_path / "data.npz", x=blobs[0], y=blobs[1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


MODEL_OF_THREE = """
import numpy as np
from gexcore_numpy import MLP

def build():
    return MLP([np.array([[-1.0, 1.0, 0.0], [-1.0, -1.0, 2.0]])], [np.zeros(3)])
"""
FLIPPED = [*range(0, 300, 25), 7]


class Three(NamedTuple):
    """300 samples of three classes far apart, 13 of which have a wrong label."""

    x: NDArray[np.float64]
    given: NDArray[np.int64]
    true: NDArray[np.int64]


@pytest.fixture(scope="session")
def three() -> Three:
    rng = np.random.default_rng(0)
    true = np.arange(300) % 3
    x = np.array([[-4.0, -4.0], [4.0, -4.0], [0.0, 4.0]])[true] + rng.normal(size=(300, 2))
    given = true.copy()
    given[FLIPPED] = (true[FLIPPED] + 1) % 3
    return Three(x, given, true)


@pytest.fixture
def cleanable(tmp_path: Path, three: Three, run: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: model.py, data.npz and audit/, which knows all 13."""
    (tmp_path / "model.py").write_text(MODEL_OF_THREE)
    np.savez(tmp_path / "data.npz", x=three.x, y=three.given)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    score = ("score", "model.py:build", "data.npz", "--out", "audit")
    assert run(*score, "--chains", "2", "--snapshots", "4", "--lr", "0.01", "--quiet").code == 0
    return tmp_path
