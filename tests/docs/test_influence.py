"""docs/influence.md: its examples run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

import gexcore as gx
from gexcore_numpy import MLP, NumpyBackend

DOCUMENT = (Path(__file__).parents[2] / "docs" / "influence.md").read_text(encoding="utf-8")


def train(data: Any, seed: int) -> MLP:
    backend = NumpyBackend(MLP.init((2, 2), seed=seed), optimizer=gx.Optimizer())
    state = backend.initial_state()
    for _ in range(30):
        state = backend.sgd_step(state, data, lr=0.1, seed=seed)
    return backend.to_model(state)


def test_the_examples_run() -> None:
    x = np.random.default_rng(0).normal(size=(160, 2))
    y = (x[:, 0] > 0).astype(int)
    names: dict[str, Any] = {
        "model": train((x, y), 0), "train": train, "x": x, "y": y,
        "x_test": x[:4] + 0.1, "y_test": y[:4], "x_new": x[4:9] + 0.1, "y_new": y[4:9],
    }  # fmt: skip
    for block in re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL):
        exec(block, names)
    assert names["ridge"].influence().shape == (4, 160)
    assert 0 < names["lds"](names["ridge"], names["outcomes"]).ceiling <= 1
