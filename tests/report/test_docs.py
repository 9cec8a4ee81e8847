"""docs/report.md: its examples run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

import gexcore as gx
from gexcore.decisions.curve import CurvePoint
from gexcore_numpy import MLP

DOCUMENT = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")


class Tokenizer:
    """Words from numbers."""

    def decode(self, tokens: Any) -> str:
        return " ".join(map(str, np.round(tokens).astype(int).tolist()))


@pytest.fixture
def names() -> dict[str, Any]:
    """A run on pictures of 28 × 28 pixels, with three classes."""
    rng = np.random.default_rng(0)
    true = np.arange(60) % 3
    x = rng.random((60, 784)) + np.eye(3)[true] @ rng.normal(size=(3, 784))
    y = np.where(np.arange(60) % 10 == 4, (true + 1) % 3, true)
    model = MLP.init((784, 3), seed=0)
    found = gx.GEX(chains=2, snapshots=4, lr=0.01).fit(model, (x, y), progress=False)
    return {
        "influence": found, "x": x, "y": y, "x_test": x[:9], "y_test": true[:9],
        "wrong": y != true, "names": ["shirt", "shoe", "bag"],
        "questions": [f"question {i}" for i in range(60)],
        "frame": {"text": np.array([f"text {i}" for i in range(60)])},
        "tokenizer": Tokenizer(), "curve": [CurvePoint(1.0, 60, 0.9, 0.9)],
    }  # fmt: skip


def test_every_example_runs(
    names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")
    y = names["y"]
    rows = f"4,{y[4]},wrong,1\n5,{y[5]},fine,\n"
    (tmp_path / "marks.csv").write_text("index,label,mark,new_label\n" + rows, "utf-8")
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    for block in blocks:
        # each block writes its page anew
        exec(block.replace('report("audit.html"', 'report("audit.html", force=True'), names)
    assert len(blocks) == 4
    assert names["cleaned"].targets.dtype.kind == "i"
    assert (tmp_path / "audit.html").stat().st_size > 10_000
    assert matplotlib.pyplot.get_fignums()
    matplotlib.pyplot.close("all")
