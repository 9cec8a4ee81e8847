"""Every example in docstrings and documents runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import gexcore
import gexcore_numpy
from gexcore.cli import main

ROOT = Path(__file__).parents[2]


def modules() -> list[str]:
    packages = (gexcore, gexcore_numpy)
    return [
        m.name
        for p in packages
        for m in pkgutil.walk_packages(p.__path__, f"{p.__name__}.")
        if "__main__" not in m.name
    ]


@pytest.mark.parametrize("name", modules())
def test_docstring_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_some_docstrings_have_examples() -> None:
    found = [doctest.DocTestFinder().find(importlib.import_module(name)) for name in modules()]
    assert sum(len(test.examples) for tests in found for test in tests) > 20


README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert block is not None
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(c, 1.0, (40, 2)) for c in (-0.7, 0.7)])
    names = {
        "model": gexcore_numpy.MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)]),
        "x": x, "y": np.repeat([0, 1], 40),
    }  # fmt: skip
    Path("marks.csv").write_text("index,label,mark,new_label\n3,0,wrong,1\n", encoding="utf-8")
    exec(block.group(1), names)
    influence, cleaned = names["influence"], names["cleaned"]
    assert isinstance(influence, gexcore.Influence)
    assert isinstance(cleaned, gexcore.Cleaned)
    assert cleaned.targets[cleaned.indices.tolist().index(3)] == 1
    assert Path("audit.html").stat().st_size > 10_000


def test_readme_shell_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table and a pipeline become a reviewed, corrected table by the three commands alone."""
    import joblib
    import pandas as pd
    from sklearn.datasets import load_iris
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    monkeypatch.chdir(tmp_path)
    iris = load_iris(as_frame=True)
    frame = iris.data.assign(species=iris.target_names[iris.target])
    frame.loc[[3, 60, 120], "species"] = ["virginica", "setosa", "setosa"]
    frame.to_csv("iris.csv", index=False)
    model = make_pipeline(StandardScaler(), MLPClassifier((32,), max_iter=300, random_state=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(iris.data, frame["species"])
    joblib.dump(model, "model.joblib")
    rows = "3,virginica,wrong,setosa\n60,setosa,wrong,versicolor\n5,setosa,fine,\n"
    Path("marks.csv").write_text(f"index,label,mark,new_label\n{rows}", encoding="utf-8")
    section = README.split("## Your table")[1].split("\n## ")[0]
    commands = re.findall(r"^\$ gexcore (.*)$", section, re.MULTILINE)
    assert len(commands) == 3
    monkeypatch.setenv("BROWSER", "/bin/true %s")
    for command in commands:
        assert main(command.split()) == 0
    cleaned = pd.read_csv("cleaned.csv")
    assert list(cleaned.columns) == list(frame.columns)
    assert (cleaned["species"] == "setosa").sum() >= 49
    first = cleaned[(cleaned.iloc[:, :4] == frame.iloc[3, :4].astype(float)).all(axis=1)]
    assert set(first["species"]) == {"setosa"}
