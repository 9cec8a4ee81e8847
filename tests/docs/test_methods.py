"""docs/methods.md: its tables are what the command prints, and its examples run.

Each framework runs in a process of its own: two in one are fragile.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gexcore as gx
from gexcore.backend.registry import DISABLE, default_registry
from gexcore.cli.catalogue import METHODS

DOCUMENT = (Path(__file__).parents[2] / "docs" / "methods.md").read_text(encoding="utf-8")
TABLES = re.compile(r"<!-- methods: .*? -->\n(.*?)\n<!-- end of methods -->", re.DOTALL)
BLOCKS = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)


def documented() -> list[str]:
    """The lines between the marks."""
    found = TABLES.search(DOCUMENT)
    assert found is not None
    return found[1].splitlines()


def column(lines: list[str], header: str) -> list[tuple[str, str]]:
    """First cell and that of one backend in every row of the table whose header names it."""
    start = next(i for i, line in enumerate(lines) if f"| {header} |" in line)
    at = lines[start].split(" | ").index(header) if header in lines[start].split(" | ") else -1
    rows = [line.rstrip(" |").split(" | ") for line in lines[start + 2 :]]
    end = next((i for i, row in enumerate(rows) if len(row) < 2), len(rows))
    return [(row[0], row[at]) for row in rows[:end]]


@pytest.mark.parametrize("name", default_registry().names())
def test_the_tables_are_printed_so(name: str) -> None:
    others = ",".join(set(default_registry().names()) - {name})
    done = subprocess.run(
        [sys.executable, "-m", "gexcore", "methods", "--markdown"],
        env={**os.environ, "PYTHONIOENCODING": "utf-8", DISABLE: others},
        capture_output=True, encoding="utf-8", timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed, lines = done.stdout.splitlines(), documented()
    costs = printed.index("")
    assert printed[:costs] == lines[:costs]
    assert column(printed[costs:], f"`{name}`") == column(lines[costs:], f"`{name}`")
    assert [line for line in printed if line.startswith(f"- `{name}`")] == [
        line for line in lines if line.startswith(f"- `{name}`")
    ]


def test_every_backend_has_a_column() -> None:
    header = next(line for line in documented() if line.startswith("| method | `"))
    assert re.findall(r"`(\w+)`", header) == default_registry().names()


def test_the_examples_run_and_leave_no_method_out() -> None:
    names: dict[str, object] = {}
    for block in BLOCKS:
        exec(block, names)
    code = "".join(BLOCKS)
    assert [
        method.name for method in METHODS if not re.search(rf"\bgx\.{method.name}\b", code)
    ] == []


def test_the_switches_exist() -> None:
    told = set(re.findall(r"`(\w+)\.public_code\(", DOCUMENT))
    assert told == {name for name in gx.__all__ if hasattr(getattr(gx, name), "public_code")} - {
        "GEXLin"
    }
