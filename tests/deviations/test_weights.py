"""The ridge over members: its laws, and what must break them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gexcore.deviations.outputs import curvatures, output, slopes
from gexcore.deviations.table import LossTable
from gexcore.deviations.weighting import Weighting
from gexcore.deviations.weights import shrunk
from gexcore.errors import InvalidSettingError
from gexcore.testing.ridge_laws import check_ridge_laws


def test_laws(xp: Any) -> None:
    check_ridge_laws(xp)


@pytest.mark.parametrize(
    "losses", [np.array([1e-12, 0.3, 2.0, 60.0]), np.array([0.0, 1e-7, 0.7, 1e3])]
)
@pytest.mark.parametrize("kind", ["margin", "root", "loss"])
def test_outputs_are_finite_and_fall_with_the_loss(losses: Any, kind: Any) -> None:
    found = output(losses, kind)
    assert np.isfinite(found).all()
    assert (np.diff(found) <= 0).all()
    assert (np.diff(output(np.linspace(0.1, 9.0, 50), kind)) < 0).all()


@pytest.mark.parametrize("kind", ["margin", "root", "loss"])
def test_slope_and_curvature_are_the_derivatives_of_the_loss(kind: Any) -> None:
    losses, step = np.linspace(0.2, 4.0, 9), 1e-5
    rise = (output(losses + step, kind) - output(losses - step, kind)) / (2 * step)
    slope = slopes(losses, kind)
    np.testing.assert_allclose(slope, -1 / rise, rtol=1e-6)
    if kind != "loss":  # whose curvature is not known
        second = (slopes(losses + step, kind) - slopes(losses - step, kind)) / (2 * step) / -rise
        np.testing.assert_allclose(curvatures(slope, kind), second, rtol=1e-4)


def table(members: int = 6, samples: int = 20) -> LossTable:
    rng = np.random.default_rng(3)
    losses = rng.gamma(1.0, 0.5, (members, samples))
    return LossTable(losses, losses[0], np.arange(members) % 2)


def test_too_few_members_and_missing_losses_are_refused() -> None:
    ridge = Weighting(weights="ridge", center="ensemble")
    with pytest.raises(
        InvalidSettingError, match=r"a ridge needs at least 3 members .* and here are 2"
    ):
        ridge.solve(table(2), "margin")
    gaps = table()
    gaps.losses[1, 3] = np.nan
    with pytest.raises(InvalidSettingError, match="did not see all samples"):
        ridge.solve(gaps, "margin")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"strength": 0.0}, "strength is 0.0"),
        ({"strength": -1}, "strength is -1"),
        ({"shrinkage": -1}, "shrinkage is -1"),
        ({"weights": "rigde"}, "allowed are 'mean' and 'ridge'"),
        ({"center": "median"}, "allowed are 'checkpoint', 'ensemble' and 'chains'"),
        ({"weights": "ridge", "center": "checkpoint"}, "deviations from a mean"),
    ],
)
def test_wrong_settings_are_refused(settings: Any, told: str) -> None:
    with pytest.raises(InvalidSettingError, match=told):
        Weighting(**{"center": "ensemble", **settings})


@pytest.mark.parametrize("weights", ["mean", "ridge"])
@pytest.mark.parametrize("center", ["ensemble", "chains"])
def test_blocks_groups_and_tops_agree_with_the_whole(weights: Any, center: Any) -> None:
    how, train, tests = Weighting(weights=weights, center=center), table(), table(samples=5)
    solved = how.solve(train, "margin")
    own, given = how.train(train, solved, "margin"), how.tests(tests, solved, "margin")
    whole = np.concatenate([block for _, block in own.cross(given)], axis=1)
    small = np.concatenate([block for _, block in own.cross(given, size=3)], axis=1)
    np.testing.assert_allclose(small, whole, rtol=1e-12)
    codes = np.arange(20) % 4
    wanted = np.stack([whole[:, codes == g].sum(axis=1) for g in range(4)], axis=1)
    np.testing.assert_allclose(own.group_cross(given, codes, 4), wanted, rtol=1e-9)
    best = own.top(given, 3)
    np.testing.assert_allclose(best.proponent_values, -np.sort(-whole, axis=1)[:, :3], rtol=1e-9)


@pytest.mark.parametrize("size", [1e-120, 1.0, 1e120])
def test_the_shrinkage_has_no_unit(size: float) -> None:
    one = np.ones(1)
    found = shrunk(np.array([[0.5]]), one, one, members=4, strength=1.0)
    scaled = shrunk(np.array([[0.5 * size]]), one, one * size, members=4, strength=1.0)
    np.testing.assert_allclose(scaled, found * size)
