"""Suspicion of the parts of samples, on outputs of a regression in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.ensembles import parts
from gexcore.ensembles.recomputed import Recomputed
from gexcore.errors import GexError, InvalidDataError, MissingCapabilityError
from gexcore_numpy import MLP

N, OUTPUTS = 60, 3


def fitted(method: Any = None, **settings: Any) -> Any:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 4))
    weight = rng.normal(size=(4, OUTPUTS))
    y = x @ weight + rng.normal(0.0, 0.1, (N, OUTPUTS))
    y[7, 1] += 4.0
    y[20, 2] -= 4.0
    gex = method or gx.GEX(chains=2, snapshots=4, **settings)
    model = MLP([weight], [np.zeros(OUTPUTS)])
    return gex.fit(model, (x, y), loss="squared_error", progress=False)


def test_the_wrong_output_of_a_sample_stands_out() -> None:
    found = fitted().part_suspicion()
    assert found.shape == (N, OUTPUTS)
    first = np.argsort(-found, axis=None)[:2]
    assert sorted(first.tolist()) == [7 * OUTPUTS + 1, 20 * OUTPUTS + 2]


def test_parts_add_up_to_the_score_of_the_sample_where_nothing_is_clipped() -> None:
    found = fitted(keep=64)
    assert len(found.members.rows) == len(found.table)
    unclipped = found.suspicion("clipped_loss", clip=1e9)
    object.__setattr__(found, "clip", 1e9)
    np.testing.assert_allclose(found.part_suspicion().sum(axis=1), unclipped, rtol=1e-9)


def test_positions_choose_and_order_the_samples() -> None:
    found = fitted()
    every, chosen = found.part_suspicion(), np.array([20, 3, 7])
    np.testing.assert_allclose(found.part_suspicion(chosen), every[chosen], rtol=1e-12)


def test_without_kept_members_the_parts_are_those_of_the_trained_model() -> None:
    found = fitted(keep=0)
    np.testing.assert_allclose(found.part_suspicion().sum(axis=1), found.base_losses, rtol=1e-9)


def test_members_that_are_computed_again_score_parts_too() -> None:
    found = fitted(gx.GEX.for_influence(budget=60.0))
    kept = found.part_suspicion()
    assert kept.shape == (N, OUTPUTS)
    again = fitted(gx.GEX.for_influence(budget=60.0, keep=0))
    assert isinstance(again.members, Recomputed)
    np.testing.assert_allclose(again.part_suspicion(), kept, rtol=1e-9)


@pytest.mark.parametrize(
    ("positions", "sentence"),
    [
        ([], "no positions are given"),
        ([1, 1], "not distinct positions"),
        ([N], f"position {N} is outside"),
        (np.ones(N, bool), "not distinct positions"),
    ],
)
def test_wrong_positions_are_refused(positions: Any, sentence: str) -> None:
    with pytest.raises(InvalidDataError, match=sentence):
        fitted().part_suspicion(positions)


def test_too_many_parts_are_refused_with_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fitted()
    monkeypatch.setattr(parts, "LARGEST", 5 * OUTPUTS)
    with pytest.raises(InvalidDataError, match=r"give fewer positions, such as those of ranking"):
        found.part_suspicion()
    assert found.part_suspicion(found.ranking(5)).shape == (5, OUTPUTS)


def test_one_part_and_losses_without_parts_are_refused() -> None:
    x = np.random.default_rng(0).normal(size=(40, 2))
    gex = gx.GEX(chains=1, snapshots=2, lr=0.01)
    one = gex.fit(
        MLP([np.ones((2, 1))], [np.zeros(1)]), (x, x.sum(1)), loss="squared_error", progress=False
    )
    with pytest.raises(InvalidDataError, match=r"one part only; use suspicion\(\)"):
        one.part_suspicion()
    classes = gex.fit(
        MLP([np.eye(2)], [np.zeros(2)]), (x, (x[:, 0] < x[:, 1]).astype(int)), progress=False
    )
    with pytest.raises(MissingCapabilityError, match="part_suspicion needs SupportsPartLosses"):
        classes.part_suspicion()


def test_blocks_of_unequal_lengths_end_in_nan() -> None:
    found = parts.joined([np.ones((2, 3)), np.zeros((1, 5))])
    assert found.shape == (3, 5)
    np.testing.assert_array_equal(np.isnan(found).sum(axis=1), [2, 2, 0])
    assert np.isnan(found[:2, 3:]).all()


def test_a_saved_result_has_no_parts_to_ask_for(tmp_path: Any) -> None:
    found = fitted()
    found.save(tmp_path / "found.npz")
    assert not hasattr(gx.load(tmp_path / "found.npz"), "part_suspicion")
    assert issubclass(MissingCapabilityError, GexError)
