"""Tables in docs/ are what the command makes of the committed rows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = {page.name: page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md")}
CHANGED = """
from bench.studies.tables import page
text = "<!-- rows: demo -->\\n| a number | put in by hand |\\n<!-- end of rows -->"
assert "by hand" not in page(text)
assert page(page(text)) == page(text)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Python at the root of the repository."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=300)


def test_pages_agree_with_their_rows():
    done = run("-m", "bench.studies.tables")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_number_that_was_put_in_by_hand_is_found():
    done = run("-c", CHANGED)
    assert done.returncode == 0, done.stderr


def test_every_row_says_when_it_was_measured_and_is_shown():
    shown = set(re.findall(r"^<!-- rows: (\w+)", "".join(PAGES.values()), re.MULTILINE))
    files = {path.stem: path for path in (ROOT / "docs/rows").glob("*.jsonl")}
    assert shown == files.keys()
    for path in files.values():
        for line in path.read_text(encoding="utf-8").splitlines():
            assert json.loads(line)["measured"], path


@pytest.mark.parametrize("name", PAGES)
def test_commands_of_studies_are_there(name):
    for module in re.findall(r"python -m (bench\.[\w.]*\w)", PAGES[name]):
        if not module.endswith(".NAME"):
            path = ROOT / module.replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module
    assert not re.search(r"python bench/", PAGES[name])
