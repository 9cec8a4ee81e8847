"""docs/trust.md: its examples run, and its table of checks is the one that the code has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

import gexcore as gx
from gexcore.influence.diagnose import CHECKS
from gexcore_numpy import MLP

DOCUMENT = (Path(__file__).parents[2] / "docs" / "trust.md").read_text(encoding="utf-8")


def rows() -> list[str]:
    """The table of `CHECKS`, in Markdown."""
    header = ["| finding | number | found | it says |", "| --- | --- | --- | --- |"]
    return header + [
        f"| `{check.name}` | {check.asks} | {'below' if check.least else 'above'} "
        f"{check.limit:g} | "
        f"{re.sub('{[^}]*}', '…', check.sentence)} |"
        for check in CHECKS
    ]


def test_the_table_of_checks_is_that_of_the_code() -> None:
    found = re.search(r"<!-- checks -->\n(.*?)\n<!-- end of checks -->", DOCUMENT, re.DOTALL)
    assert found is not None
    assert found[1].splitlines() == rows()


def test_every_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    matplotlib.use("agg")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 2))
    model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
    fitted = gx.GEX(chains=2, snapshots=3, lr=0.1).fit(
        model, (x, (x[:, 0] > 0).astype(int)), progress=False
    )
    names: dict[str, Any] = {"influence": fitted, "gx": gx}
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        exec(block, names)
    assert "few_members 6 8 6 members are few" in capsys.readouterr().out


def test_the_views_are_those_that_it_names() -> None:
    section = DOCUMENT.split("## Which score")[1].split("##")[0]
    named = set(re.findall(r"^\| `(\w+)", section, re.MULTILINE))
    assert named >= {
        "suspicion",
        "checkpoint_losses",
        "self_influence",
        "absolute_deviation",
        "mean_deviation",
    }
    assert all(hasattr(gx.LossInfluence, name) for name in named - {"checkpoint_losses"})
