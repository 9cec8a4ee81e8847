"""docs/theory.md: its examples run."""

from __future__ import annotations

import doctest
from pathlib import Path


def test_examples():
    document = Path(__file__).parents[2] / "docs" / "theory.md"
    found = doctest.testfile(str(document), module_relative=False)
    assert found.attempted > 15
    assert found.failed == 0
