"""The examples of docs/decisions.md run, from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.decisions.retrain import accuracy
from gexcore_numpy import MLP, NumpyBackend

DOCUMENT = Path(__file__).parents[2] / "docs" / "decisions.md"


def recipe(x: Any, y: Any, *, seed: int = 0) -> MLP:
    backend = NumpyBackend(MLP.init((2, 3), seed=seed))
    state = backend.initial_state()
    for _ in range(40):
        state = backend.sgd_step(state, (x, y), lr=0.1, seed=0)
    return backend.to_model(state)


def test_every_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    true = np.arange(300) % 3
    x = np.array([[-4.0, -4.0], [4.0, -4.0], [0.0, 4.0]])[true] + rng.normal(size=(300, 2))
    y = np.where(np.arange(300) % 10 == 4, (true + 1) % 3, true)
    model = MLP([np.array([[-1.0, 1.0, 0.0], [-1.0, -1.0, 2.0]])], [np.zeros(3)])
    names: dict[str, Any] = {
        "influence": gx.GEX(chains=2, snapshots=4, lr=0.01).fit(model, (x, y), progress=False),
        "x": x, "y": y, "train": recipe, "recipe": recipe, "x_test": x, "y_test": true,
        "test_accuracy": lambda model: accuracy(model, (x, true)),
        "sources": np.arange(300) % 2, "annotators": np.array(["ann", "bob",
            "eve"])[np.arange(300) % 3],
    }  # fmt: skip
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(blocks) == 6
    for block in blocks:
        exec(block, names)
    assert len(names["cleaned"].changed) == 30
    assert [point.samples for point in names["curve"]] == [300, 270, 210, 150, 90]
    assert names["strongest"].proponents.shape == names["strongest"].opponents.shape == (300, 5)
