"""Members that fail are left out and counted; what a run costs is what it says."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.backend.batches import training_order
from gexcore.errors import AllMembersDivergedError
from gexcore_numpy import NumpyBackend

OPEN = {"chains": 3, "snapshots": 6, "lr": 0.02, "steps_per_snapshot": 5, "batch_size": 16}
BOTH_HARVESTS = pytest.mark.parametrize("scoring", ["evaluated", "training_batches"])


def fit(model: Any, data: Any, **settings: Any) -> gx.Influence:
    test = settings.pop("test", None)
    return gx.GEX(**settings).fit(model, data, test=test, progress=False)


class Fragile(NumpyBackend):
    """Explodes at every step whose seed the divisor divides; without one, at every step."""

    divisor = 23

    def sgd_step_(self, state: Any, batch: Any, /, *, lr: float, seed: int) -> Any:
        return super().sgd_step_(state, batch, lr=lr if seed % self.divisor else np.inf, seed=seed)


class Counting(NumpyBackend):
    """Counts the samples that go through it."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.samples: Counter[str] = Counter()

    def forward(self, state: Any, batch: Any, /) -> Any:
        self.samples["forward"] += len(batch[1])
        return super().forward(state, batch)

    def training_losses(self, state: Any, batch: Any, /, *, seed: int) -> Any:
        self.samples["forward"] += len(batch[1])
        return super().training_losses(state, batch, seed=seed)

    def sgd_step_(self, state: Any, batch: Any, /, *, lr: float, seed: int) -> Any:
        self.samples["step"] += len(batch[1])
        return super().sgd_step_(state, batch, lr=lr, seed=seed)


def explodes() -> list[bool]:
    """Whether a step of each snapshot blows up, by the order of batches alone."""
    found = []
    for chain in range(3):
        order = training_order(96, 16, seed=0, chain=chain)
        bad = [next(order)[1] % Fragile.divisor == 0 for _ in range(30)]
        found += [any(bad[start : start + 5]) for start in range(0, 30, 5)]
    return found


def test_diverged_members_are_left_out_and_counted(trained: Any) -> None:
    found = fit(Fragile(trained.model), trained.data, **OPEN, scoring="evaluated")
    bad = sum(explodes())
    assert 0 < bad < 18
    assert [s.status for s in found.run.snapshots] == [
        "diverged" if e else "member" for e in explodes()
    ]
    assert found.run.count() == {"member": 18 - bad, "cold": 0, "melted": 0, "diverged": bad}
    assert len(found.table) == 18 - bad
    assert f"{18 - bad} members of 3 chains ({bad} diverged left out)" in repr(found)
    assert np.isfinite(found.losses).all()
    assert np.isfinite(found.suspicion()).all()
    assert np.isfinite(found.self_influence()).all()


def test_a_chain_starts_again_from_the_checkpoint_after_it_diverged(trained: Any) -> None:
    found = fit(Fragile(trained.model), trained.data, **OPEN, scoring="evaluated")
    bad = explodes()
    after = next(i for i in range(1, 18) if i % 6 and bad[i - 1] and not bad[i])
    chain, number = divmod(after, 6)
    order = training_order(96, 16, seed=0, chain=chain)
    batches = [next(order) for _ in range(30)][5 * number : 5 * (number + 1)]
    backend = Fragile(trained.model)
    state = backend.initial_state()
    for indices, seed in batches:
        state = backend.sgd_step(
            state, (trained.x[indices], trained.y[indices]), lr=0.02, seed=seed
        )
    row = found.run.members().index(found.run.snapshots[after])
    np.testing.assert_array_equal(found.losses[row], backend.forward(state, trained.data))


@BOTH_HARVESTS
@pytest.mark.parametrize("lr", ["auto", 0.02])
def test_if_all_members_diverge_it_says_what_to_try(trained: Any, scoring: str, lr: Any) -> None:
    class Hopeless(Fragile):
        divisor = 1

    settings = {**OPEN, "lr": lr, "scoring": scoring}
    with pytest.raises(
        AllMembersDivergedError, match=r"all \d+ members have non-finite losses; try"
    ) as raised:
        fit(Hopeless(trained.model), trained.data, **settings)
    assert isinstance(raised.value, ArithmeticError)


def test_a_far_too_large_learning_rate_leaves_no_member_but_a_result(trained: Any) -> None:
    found = fit(trained.model, trained.data, **{**OPEN, "lr": 1e6}, scoring="evaluated")
    assert found.run.count()["melted"] > 0
    assert found.run.count()["member"] == len(found.table)


@pytest.mark.parametrize("fixture", ["trained", "normalised"])
@BOTH_HARVESTS
def test_a_run_costs_what_it_says(
    fixture: str, scoring: str, request: pytest.FixtureRequest
) -> None:
    given_model = request.getfixturevalue(fixture)
    backend = Counting(given_model.model)
    found = fit(backend, given_model.data, **OPEN, scoring=scoring)
    assert found.run.passes.step == backend.samples["step"] == 3 * 6 * 5 * 16
    refreshed = found.members.refresh.samples * (18 if scoring == "evaluated" else 0)
    assert found.run.passes.forward == backend.samples["forward"] + refreshed


def test_test_data_cost_one_pass_per_member(trained: Any) -> None:
    backend = Counting(trained.model)
    found = fit(
        backend, trained.data, **OPEN, scoring="evaluated", test=(trained.x[:10], trained.y[:10])
    )
    # the model is tried on the test data, and has their base losses
    assert found.run.passes.forward == backend.samples["forward"] - 20
