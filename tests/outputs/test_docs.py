"""The examples of docs/exports.md run, from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "exports.md"


def test_every_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 11
    for block in blocks:
        if "cleanlab" in block:  # tests/peers has that package
            compile(block, str(DOCUMENT), "exec")
        else:
            exec(block, names)
    assert len(names["cleaned"]) == 120
    assert {path.name for path in tmp_path.iterdir()} == {"audit.npz", "tasks.json", "scores.csv"}
