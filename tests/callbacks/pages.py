"""The examples of docs/recording.md."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "recording.md"


def example(*wanted: str) -> str:
    """The examples that hold one of these texts, in their order."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 6
    found = [block for block in blocks if any(text in block for text in wanted)]
    assert len(found) == len(wanted)
    return "\n".join(found)
