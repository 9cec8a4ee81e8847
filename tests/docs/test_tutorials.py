"""Tutorials and how-to pages run from top to bottom, each in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNNER = Path(__file__).with_name("run_page.py")
FOLDERS = [ROOT / "docs" / name for name in ("tutorials", "how-to")]
PAGES = sorted(
    page for folder in FOLDERS for page in folder.glob("*.md") if page.name != "index.md"
)


def run(page: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """The runner on a page, in a folder."""
    return subprocess.run(
        [sys.executable, RUNNER, page],
        cwd=folder, capture_output=True, encoding="utf-8", timeout=550,
        env={**os.environ, "PYTHONWARNINGS": "default", "MPLBACKEND": "agg"},
    )  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=[path.stem for path in PAGES])
def test_the_page_runs(page: Path, tmp_path: Path) -> None:
    done = run(page, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    blocks = re.findall(r"^```(\w+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert int(done.stdout) == len([b for b in blocks if b in ("python", "console", "text")]) > 0


PAGE = """# Sums

```python
a = 1 + 1
print(f"a is {a}")
```

```text
a is …
```

```console
$ echo one two
one …
```
"""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("a is …", "b is …"), ("1 + 1", "1 + b"), ("one …", "two …"), ("$ echo", "$ nothing-such")],
)
def test_a_page_that_shows_something_else_fails(tmp_path: Path, right: str, wrong: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    assert run(page, tmp_path).returncode == 0
    page.write_text(PAGE.replace(right, wrong), encoding="utf-8")
    assert run(page, tmp_path).returncode == 1
