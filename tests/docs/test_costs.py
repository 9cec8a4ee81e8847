"""docs/costs.md: its example runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from gexcore_numpy import MLP, NumpyBackend

DOCUMENT = (Path(__file__).parents[2] / "docs" / "costs.md").read_text(encoding="utf-8")


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    x = np.random.default_rng(0).normal(size=(64, 4))
    model = MLP.init((4, 8, 3), seed=0)
    data = x, np.arange(64) % 3
    names = {
        "backend": NumpyBackend(model), "data": data,
        "by_hand": lambda batch: np.maximum(batch[0] @ model.weights[0], 0) @ model.weights[1],
    }  # fmt: skip
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    for block in blocks:
        exec(block, names)
    assert len(blocks) == 1
    assert "forward" in capsys.readouterr().out
