"""Every example in docstrings and documents runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest

import gexcore
import gexcore_numpy

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


def test_readme_example() -> None:
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(c, 1.0, (40, 2)) for c in (-0.7, 0.7)])
    names = {
        "model": gexcore_numpy.MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)]),
        "x": x, "y": np.repeat([0, 1], 40), "x_test": x[::4], "y_test": np.repeat([0, 1], 10),
    }  # fmt: skip
    exec(block.group(1), names)
    influence = names["influence"]
    assert isinstance(influence, gexcore.Influence)
    assert influence.suspicion().shape == (80,)


@pytest.mark.parametrize(
    "document", ["README.md", *sorted(p.name for p in (ROOT / "docs").glob("*.md"))]
)
def test_links_between_documents(document: str) -> None:
    path = ROOT / document if document == "README.md" else ROOT / "docs" / document
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), f"{document} links to {target}"
