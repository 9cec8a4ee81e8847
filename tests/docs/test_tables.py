"""docs/backends.md: its table is the one that the command prints, and its examples are models that
backends take.

Each framework runs in a process of its own: two in one are fragile.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gexcore.backend.registry import DISABLE, default_registry

DOCUMENT = (Path(__file__).parents[2] / "docs" / "backends.md").read_text(encoding="utf-8")
TABLE = re.compile(r"<!-- capabilities: .*? -->\n(.*?)\n<!-- end of capabilities -->", re.DOTALL)
SECTIONS = {
    "torch": "PyTorch",
    "jax": "JAX",
    "tensorflow": "TensorFlow",
    "sklearn": "scikit-learn",
    "numpy": "NumPy",
}
SCRIPT = """
import sys
from gexcore.cli import main
from gexcore.evaluation.losses import evaluate
from gexcore.evaluation.opening import opened

assert main(["backends", "--markdown"]) == 0
for block in sys.argv[1:]:
    names = {}
    exec(block, names)
    given = opened(names["model"], names["data"])
    backend, data = given.backend, given.data
    losses = evaluate(backend, backend.initial_state(), data, batch_size=32)
    assert losses.shape == (60,) and (losses >= 0).all(), losses
    print(backend.name)
"""


def documented() -> list[str]:
    """The lines of the table."""
    found = TABLE.search(DOCUMENT)
    assert found is not None
    return found[1].splitlines()


def test_the_document_has_every_backend():
    rows = re.findall(r"^\| `(\w+)`", "\n".join(documented()), re.MULTILINE)
    assert rows == default_registry().names() == sorted(SECTIONS)


@pytest.mark.parametrize("name", SECTIONS)
def test_the_table_is_printed_so_and_the_examples_run(name):
    section = re.search(rf"^### {SECTIONS[name]}\n(.*?)^##", DOCUMENT, re.DOTALL | re.MULTILINE)
    assert section is not None
    blocks = re.findall(r"```python\n(.*?)```", section[1], re.DOTALL)
    assert blocks
    others = ",".join(sorted(SECTIONS.keys() - {name}))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *blocks],
        env={**os.environ, "PYTHONIOENCODING": "utf-8", DISABLE: others},
        capture_output=True, encoding="utf-8", timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    header, rule, *rows = documented()
    row = next(row for row in rows if row.startswith(f"| `{name}` "))
    assert done.stdout.splitlines() == [header, rule, row, *[name] * len(blocks)]
