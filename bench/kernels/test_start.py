"""Starting, beside a bare interpreter with NumPy; every call is a new process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.studies.cost_of_start import COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_start(benchmark, name):
    benchmark.group = "start"
    command = [sys.executable, *COMMANDS[name]]
    done = benchmark.pedantic(
        subprocess.run, (command,), {"capture_output": True, "text": True}, rounds=7
    )
    assert done.returncode == 0, done.stderr
    assert ("usage: gexcore" in done.stdout) is (name == "gexcore --help")


def test_import_loads_no_numpy():
    script = "import sys, gexcore; assert 'numpy' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
