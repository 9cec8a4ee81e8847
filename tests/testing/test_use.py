"""The kit as an outsider meets it: in a pytest run of their own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gexcore.testing import oracle
from gexcore.testing.suite import LAWS

TOY_SUITE = """
from gexcore.testing.suite import BackendTests
from gexcore_numpy import NumpyBackend

class TestMine(BackendTests):
    toys = ("softmax", "relu_batch_norm")

    def build(self, toy):
        return NumpyBackend(toy.model, loss=toy.loss, optimizer=toy.optimizer)

    def checkpoint(self, backend, state):
        return backend.to_model(state)
"""

OWN_PROBLEM = """
import numpy as np
import pytest
from gexcore.testing.problems import Problem
from gexcore.testing.suite import BackendTests
from gexcore_numpy import MLP, NumpyBackend

class TestMine(BackendTests):
    @pytest.fixture
    def problem(self):
        rng = np.random.default_rng(0)
        data = rng.normal(size=(20, 4)), np.arange(20) % 3
        return Problem(NumpyBackend(MLP.init((4, 6, 3), seed=0)), data)
"""

BROKEN = """
from gexcore.testing.suite import BackendTests
from gexcore.testing.checks import check_forward
from gexcore_numpy import NumpyBackend

class Broken(NumpyBackend):
    def forward(self, state, batch, /):
        return super().forward(state, batch)[:-1]

class TestMine(BackendTests):
    toys = ("softmax",)
    laws = (check_forward,)

    def build(self, toy):
        return Broken(toy.model)
"""


def _pytest(folder: Path, source: str) -> str:
    (folder / "test_mine.py").write_text(source)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rs",
        "-p",
        "no:cacheprovider",
        "-W",
        "error",
        str(folder),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_three_lines_hold_a_backend_to_every_law(tmp_path: Path) -> None:
    output = _pytest(tmp_path, TOY_SUITE)
    assert "failed" not in output
    assert "no SupportsBufferRefresh for this model" in output
    counts = re.search(r"(\d+) passed, (\d+) skipped", output)
    assert counts is not None, output
    assert sum(map(int, counts.groups())) == 2 * len(LAWS)


def test_a_problem_of_ones_own_skips_the_oracle(tmp_path: Path) -> None:
    output = _pytest(tmp_path, OWN_PROBLEM)
    assert "failed" not in output
    assert f"[{len(oracle.LAWS)}]" in output, output
    assert "this problem has no oracle" in output
    assert "this problem makes no checkpoints" in output


def test_a_failing_law_shows_its_numbers(tmp_path: Path) -> None:
    output = _pytest(tmp_path, BROKEN)
    assert "1 failed" in output
    assert "assert (23,) == (24,)" in output


@pytest.mark.parametrize("module", ["suite", "checks", "strategies", "datasets"])
@pytest.mark.parametrize("missing", ["hypothesis", "pytest"])
def test_without_the_extra_one_sentence_says_what_to_install(module: str, missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import gexcore.testing.{module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    message = (
        f"the conformance kit needs {missing}, which is not installed; try: pip install "
        "'gexcore[testing]'"
    )
    assert done.stderr.strip().endswith(message)


def test_the_pytest_plugin_imports_nothing_heavy() -> None:
    code = (
        "import sys; import gexcore.testing._pytest; print([m for m in ('hypothesis', "
        "'gexcore_numpy', 'torch', 'jax') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
