"""Digests of structure: equal in every process for equal objects, other ones for all others."""

from __future__ import annotations

import functools
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gexcore.backend.structure import structure_of

MODULE = """
import functools, math
import numpy as np
from dataclasses import dataclass
from helper import bend

SLOPE = {slope}

@dataclass
class Layer:
    width: int
    names: frozenset = frozenset({{"a", "b", "c"}})

    def __call__(self, x):
        return x * SLOPE if self.width in {{"x", "y", 3}} else bend(math.tanh(x))

class Net:
    def __init__(self):
        self.layers = [Layer(3), Layer(4)]
        self.own = self
        self.table = np.arange(5.0)
        self.act = functools.partial(lambda x, y: x + y, y={shift})
"""
HELPER = "def bend(x):\n    return x + {bend}\n"
ASK = """
import sys; sys.path.insert(0, sys.argv[1])
import net
from gexcore.backend.structure import structure_of
print(*structure_of(net.Net()))
"""


def digest(folder: Path, *, hashes: int = 0, **how: Any) -> str:
    values = {"slope": 0.1, "shift": 1, "bend": 2, **how}
    folder.mkdir(exist_ok=True)
    (folder / "net.py").write_text(MODULE.format(**values))
    (folder / "helper.py").write_text(HELPER.format(**values))
    done = subprocess.run(
        [sys.executable, "-B", "-c", ASK, str(folder)],
        env={"PYTHONHASHSEED": str(hashes)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_equal_in_every_process_and_place(tmp_path: Path) -> None:
    found = {digest(tmp_path / str(seed), hashes=seed) for seed in range(3)}
    assert len(found) == 1
    assert found.pop().strip().endswith("()"), "all of it was read"


@pytest.mark.parametrize("other", [{"slope": 0.2}, {"shift": 2}, {"bend": 3}])
def test_constants_code_and_helpers_count(tmp_path: Path, other: dict[str, Any]) -> None:
    assert digest(tmp_path / "a") != digest(tmp_path / "b", **other)


@dataclass
class Point:
    x: float


def double(x: float) -> float:
    return 2 * x


SAME: list[tuple[Any, Any]] = [
    (Point(1.0), Point(1.0)),
    ([1, (2, "a")], [1, (2, "a")]),
    (np.arange(3), np.arange(3)),
    (functools.partial(double, 2), functools.partial(double, 2)),
]
OTHER: list[tuple[Any, Any]] = [
    (Point(1.0), Point(2.0)),
    ([1, 2], (1, 2)),
    ("ab", b"ab"),
    (["a", "bc"], ["ab", "c"]),
    (1, True),
    (0.0, -0.0),
    (np.arange(3), np.arange(3.0)),
    (np.zeros((2, 3)), np.zeros((3, 2))),
    ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
    (functools.partial(double, 2), functools.partial(double, 3)),
    (double, lambda x: 2 * x + 0),
    (np.array(["a", None], object), np.array(["b", None], object)),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_equal_objects(one: Any, other: Any) -> None:
    assert structure_of(one) == structure_of(other)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_other_objects(one: Any, other: Any) -> None:
    assert structure_of(one).digest != structure_of(other).digest


def test_what_cannot_be_read_is_named() -> None:
    class Opaque:
        __slots__ = ()

    assert structure_of([Opaque()]).unread == ("test_what_cannot_be_read_is_named.<locals>.Opaque",)
