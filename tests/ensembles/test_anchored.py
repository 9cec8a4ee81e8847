"""The anchored ensemble: its plan and cost, and that nothing changes its bits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.backend.batches import subset_order
from gexcore.ensembles.recomputed import Recomputed
from gexcore.errors import AllMembersDivergedError, InvalidSettingError
from gexcore.evaluation.opening import opened
from gexcore.evaluation.statistics import Refresher
from gexcore.store import chains as chains_module
from gexcore_numpy import NumpyBackend

SMALL = {"anchors": 2, "restarts": 4, "anchor_steps": 6, "steps": 4, "lr": 0.1}


def test_members_start_from_their_anchor_and_not_from_each_other(trained: Any) -> None:
    found = gx.GEXRidge(**SMALL).fit(trained.model, trained.data, progress=False)
    statuses = [snapshot.status for snapshot in found.run.snapshots]
    assert statuses == ["anchor", *["member"] * 4] * 2
    assert found.run.passes.step == 16 * 2 * (6 + 4 * 4)
    backend = NumpyBackend(trained.model, optimizer=gx.GEXRidge(**SMALL).optimizer_for(96))
    order = found.run.plan.order(96, 1)
    state = backend.initial_state()
    for _ in range(6):
        indices, seed = next(order)
        batch = (trained.x[indices], trained.y[indices])
        state = backend.sgd_step(state, batch, lr=0.05, seed=seed)
    anchor = backend.restart(state)
    for row in range(4):
        state = anchor
        for _ in range(4):
            indices, seed = next(order)
            batch = (trained.x[indices], trained.y[indices])
            state = backend.sgd_step(state, batch, lr=0.1, seed=seed)
        losses = backend.forward(state, trained.data)
        np.testing.assert_allclose(found.losses[4 + row], losses, rtol=1e-9)


def test_the_plan_spends_its_budget(trained: Any) -> None:
    given = opened(trained.model, trained.data, progress=False)
    costs = []
    for budget in (20, 60, 100, 200, 400):
        found = gx.GEX.for_influence(budget=budget)
        plan = found.plan(given)
        done = found.fit(trained.model, trained.data, progress=False)
        cost = done.run.passes.epochs(96)
        assert cost <= budget
        costs.append((plan.warmups * plan.chains, len(done.table)))
    assert costs == sorted(costs)
    assert costs[0][0] == 0 < costs[2][0]  # the smallest pays for no anchor
    with pytest.raises(InvalidSettingError, match="the budget is too small"):
        gx.GEX.for_influence(budget=3).fit(trained.model, trained.data, progress=False)


@pytest.mark.parametrize("fixture", ["trained", "normalised"])
def test_a_stopped_run_and_any_executor_give_the_same_bits(
    fixture: str, request: Any, tmp_path: Path
) -> None:
    trained = request.getfixturevalue(fixture)
    method = gx.GEXRidge(**SMALL)
    test = (trained.x[:5] + 0.1, trained.y[:5])
    whole = method.fit(trained.model, trained.data, test=test, progress=False)
    with ThreadPoolExecutor(2) as pool:
        spread = method.fit(trained.model, trained.data, test=test, executor=pool, progress=False)

    class Stop(Exception):  # noqa: N818
        pass

    class Counted(NumpyBackend):
        left = 40

        def sgd_step_(self, state: Any, batch: Any, /, *, lr: float, seed: int) -> Any:
            self.left -= 1
            if self.left == 0:
                raise Stop
            return super().sgd_step_(state, batch, lr=lr, seed=seed)

    how = {"test": test, "store": tmp_path / "run", "progress": False}
    optimizer = method.optimizer_for(96)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chains_module, "SHARE", 1e9)
        for _ in range(9):
            backend = Counted(trained.model, optimizer=optimizer)
            backend.left = 12
            try:
                resumed = method.fit(backend, trained.data, **how)
            except Stop:
                continue
            break
    assert backend.left > 0
    for other in (spread, resumed):
        np.testing.assert_array_equal(other.losses, whole.losses)
        np.testing.assert_array_equal(other.influence(), whole.influence())
        np.testing.assert_array_equal(other.influence(test), whole.influence(test))


@pytest.mark.parametrize("fixture", ["trained", "normalised"])
def test_members_that_are_not_kept_are_computed_again(fixture: str, request: Any) -> None:
    given = request.getfixturevalue(fixture)
    new = given.x[:5] + 0.1, given.y[:5]
    kept = gx.GEXRidge(**SMALL).fit(given.model, given.data, progress=False)
    again = gx.GEXRidge(**SMALL, keep=0).fit(given.model, given.data, progress=False)
    assert isinstance(again.members, Recomputed)
    assert not isinstance(kept.members, Recomputed)
    np.testing.assert_allclose(again.influence(new), kept.influence(new), rtol=1e-9)
    np.testing.assert_array_equal(again.suggested_labels(), kept.suggested_labels())


def test_members_of_an_anchor_share_its_statistics(normalised: Any) -> None:
    given = opened(normalised.model, normalised.data, progress=False)
    refreshed = Refresher(given.backend, given.data, seed=0).samples

    def drawn(steps: int) -> Any:
        return gx.Anchored(**SMALL | {"steps": steps}).draw(given, keep=99)

    def different(found: Any) -> int:
        return len({str(state.statistics) for state in found.members.states})

    near, far = drawn(4), drawn(5)
    assert (near.plan.shares_statistics, different(near)) == (True, 2)
    assert (far.plan.shares_statistics, different(far)) == (False, 8)
    # one refresh for each anchor, and not for each member and each anchor's probe
    assert far.passes.forward - near.passes.forward == refreshed * 8


def test_each_member_sees_its_own_part(trained: Any) -> None:
    order = subset_order(96, 8, size=24, steps=10, seed=0, chain=0)
    parts = [{int(i) for _ in range(10) for i in next(order)[0]} for _ in range(3)]
    assert all(len(part) == 24 for part in parts)
    assert len(parts[0] & parts[1]) < 24
    method = gx.GEXRidge(anchors=2, restarts=3, subset=0.25, steps=10, lr=0.05, batch_size=8)
    found = method.fit(trained.model, trained.data, progress=False)
    assert [snapshot.status for snapshot in found.run.snapshots] == ["member"] * 6
    assert found.influence().shape == (96, 96)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"subset": 1.5}, "at most 1"),
        ({"subset": 0.05}, "fewer than a batch of 16"),
        ({"strength": 0.0}, "strength is 0.0"),
        ({"lr": 0.0}, "lr is 0.0"),
        ({"anchors": 1, "restarts": 2}, "a ridge needs at least 3"),
        ({"budget": -1.0}, "budget is -1.0"),
    ],
)
def test_wrong_settings_are_refused(trained: Any, settings: Any, told: str) -> None:
    with pytest.raises(InvalidSettingError, match=told):
        gx.GEXRidge(**settings).fit(trained.model, trained.data, progress=False)


def test_members_without_finite_losses_are_left_out(trained: Any) -> None:
    with np.errstate(all="ignore"), pytest.raises(AllMembersDivergedError):
        gx.GEXRidge(**SMALL | {"lr": 1e200}).fit(trained.model, trained.data, progress=False)
