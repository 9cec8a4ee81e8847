"""What influence cannot be asked: one sentence each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.errors import InvalidDataError, InvalidSettingError

FREE = {"chains": 1, "snapshots": 6, "lr": 0.02, "steps_per_snapshot": 2}


@pytest.fixture(scope="module")
def ridge(trained: Any) -> gx.LossInfluence:
    return gx.GEX.for_influence(budget=60).fit(trained.model, trained.data, progress=False)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (np.array([0, 1, 7]), "label 7 is outside 0 … 2"),
        (np.array([0.1, 0.2, 0.3]), "cross_entropy got float64 targets"),
        (np.array(["a", "b", "a"]), "the label 'a' is not among the labels of the training data"),
    ],
)
def test_a_test_set_of_another_kind(
    ridge: gx.LossInfluence, trained: Any, labels: Any, told: str
) -> None:
    test = trained.x[:3], labels
    assert ridge.influence((trained.x[:3], trained.y[:3])).shape == (3, 96)
    with pytest.raises(InvalidDataError, match=told) as later:
        ridge.influence(test)
    with pytest.raises(InvalidDataError, match=told):
        gx.GEX.for_influence(budget=60).fit(trained.model, trained.data, test=test, progress=False)
    assert "\n" not in str(later.value)


@pytest.mark.parametrize("strength", [0.0, -1.0, float("nan")])
def test_a_strength_that_is_not_above_zero(ridge: gx.LossInfluence, strength: float) -> None:
    for ask in (lambda: ridge.weighted(strength=strength), lambda: gx.GEXRidge(strength=strength)):
        with pytest.raises(InvalidSettingError, match="must be a finite number above 0"):
            ask()


@pytest.mark.parametrize(
    ("keep", "told"), [(0, "fit with keep > 0"), (2, "a ridge needs at least 3 members")]
)
def test_members_of_training_batches_that_were_not_kept(trained: Any, keep: int, told: str) -> None:
    found = gx.GEX(**FREE, scoring="training_batches", keep=keep).fit(
        trained.model, trained.data, progress=False
    )
    with pytest.raises(InvalidSettingError, match=told):
        found.influence()
    kept = gx.GEX(**FREE, scoring="training_batches", keep=3).fit(
        trained.model, trained.data, progress=False
    )
    assert kept.influence().shape == (96, 96)


def test_the_strength_of_a_run_is_its_own(ridge: gx.LossInfluence) -> None:
    again = ridge.weighted("ridge")
    np.testing.assert_array_equal(again.influence(), ridge.influence())
    assert not np.allclose(ridge.weighted(strength=0.3).influence(), ridge.influence())
