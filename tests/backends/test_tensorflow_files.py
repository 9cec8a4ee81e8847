"""Keras models in files, scored from the shell."""

from __future__ import annotations

import csv
from pathlib import Path

import keras
import numpy as np
import pytest

from gexcore.cli import main

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
FEW = ("--chains", "2", "--snapshots", "3", "--lr", "0.05", "--quiet")


def test_a_keras_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(-2, 1, (40, 2)), rng.normal(2, 1, (40, 2))])
    names = np.repeat(["left", "right"], 40)
    names[[3, 70]] = ["right", "left"]
    lines = [f"{a},{b},{name}" for (a, b), name in zip(x, names, strict=True)]
    Path("data.csv").write_text("\n".join(["a,b,side", *lines]))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.set_weights([np.array([[-1.0, 1.0], [-1.0, 1.0]]), np.zeros(2)])
    model.save("model.keras")
    command = ["score", "model.keras", "data.csv", "--label", "side", "--out", "audit", *FEW]
    assert main(command) == 0
    with Path("audit/scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == names.tolist()
    worst = sorted(rows, key=lambda row: -float(row["suspicion"]))[:2]
    assert {row["index"] for row in worst} == {"3", "70"}
    Path("model.keras").write_bytes(b"no archive")
    assert main([*command[:-7], "--out", "o"]) == 2
    assert "model.keras cannot be read as a Keras model" in capsys.readouterr().err
