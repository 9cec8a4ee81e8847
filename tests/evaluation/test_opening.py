"""The model is taken apart once, whatever the method."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.evaluation.opening import opened
from gexcore_numpy import NumpyBackend

SHORT = {"chains": 1, "snapshots": 2, "steps_per_snapshot": 4}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[NumpyBackend]:
    """Every backend that is made while a test runs."""
    found: list[NumpyBackend] = []
    before = NumpyBackend.__init__

    def counted(self: NumpyBackend, *args: Any, **settings: Any) -> None:
        found.append(self)
        before(self, *args, **settings)

    monkeypatch.setattr(NumpyBackend, "__init__", counted)
    return found


@pytest.mark.parametrize(
    "method",
    [
        gx.GEX(**SHORT),
        gx.GEXLin(**SHORT, lr=0.01),
        gx.LastLayer(gx.GEX(**SHORT, lr=0.01)),
        gx.LastLayer(gx.IF(damping=0.1)),
        gx.TracInRP(ensemble=gx.Geometric(**SHORT, lr=0.01), directions=2),
        gx.Loss(),
    ],
    ids=lambda method: type(method).__name__,
)
def test_a_fit_makes_one_backend(trained: Any, made: list[NumpyBackend], method: Any) -> None:
    method.fit(trained.model, trained.data, progress=False)
    assert len(made) == 1


def test_the_count_sees_a_second_backend(trained: Any, made: list[NumpyBackend]) -> None:
    for _ in range(2):
        opened(trained.model, trained.data)
    assert len(made) == 2


def test_the_first_look_is_one_pass(trained: Any) -> None:
    given = opened(trained.model, trained.data, progress=False)
    assert given.seen is given.seen
    assert given.without_test().seen is given.seen
    np.testing.assert_array_equal(given.seen.labels, trained.y)


def test_a_backend_of_the_user_keeps_its_optimiser(trained: Any) -> None:
    backend = NumpyBackend(trained.model)
    given = opened(backend, trained.data, progress=False)
    other = gx.Optimizer(weight_decay=0.5)
    assert given.stepping_with(other).backend is backend
    assert given.chosen() == {}
    assert given.stepping_with(other).chosen() == {"optimizer": "the optimizer of the backend"}
    native = opened(trained.model, trained.data, progress=False).stepping_with(other)
    assert native.chosen() == {"optimizer": "sgd", "weight_decay": 0.5}
