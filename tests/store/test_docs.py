"""docs/running.md: the first examples, which need no cluster, run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[2] / "docs" / "running.md"


def test_the_examples_run() -> None:
    stored, spread, *others = re.findall(
        r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL
    )
    names: dict[str, Any] = {}
    exec(stored, names)
    exec(spread, names)
    assert len(names["more"].losses) == 16
    for other in others:
        compile(other, str(DOCUMENT), "exec")
