"""What a run may cost: it is settled before the work, kept to, and refused where it cannot be."""

from __future__ import annotations

import math
import re
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gexcore as gx
from gexcore import progress
from gexcore.backend.data import ArrayDataset
from gexcore.ensembles import drawing
from gexcore.ensembles.budget import limits, planned_passes
from gexcore.ensembles.plan import Plan
from gexcore.ensembles.relearning_plans import planned_passes as relearned
from gexcore.errors import InvalidSettingError
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.passes import Passes
from gexcore_numpy import MLP, NumpyBackend

laws = settings(derandomize=True, database=None, deadline=None, max_examples=25)
BACKEND = NumpyBackend(MLP.init((1, 2), seed=0))


def plan_of(n: int, **how: Any) -> Plan:
    data = ArrayDataset(np.zeros((n, 1)), np.arange(n) % 2)
    return gx.Geometric(**how).plan(Opened(BACKEND, data, data))


def cost_of(plan: Plan, n: int) -> float:
    return planned_passes(plan, n, refreshed=0).epochs(n)


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "chains": st.integers(1, 6),
        "snapshots": st.integers(1, 60),
        "steps_per_snapshot": st.integers(1, 40),
        "scoring": st.sampled_from(["evaluated", "training_batches"]),
        "lr": st.just(0.1),
    },
)


@laws
@given(n=st.integers(200, 30_000), budget=st.floats(1.0, 600.0), how=SETTINGS)
def test_a_plan_keeps_to_its_budget_and_to_what_is_set_or_there_is_none(
    n: int, budget: float, how: Any
) -> None:
    try:
        plan = plan_of(n, budget=budget, **how)
    except InvalidSettingError:
        assert cost_of(plan_of(n, budget=gx.Budget(epochs=1e9), **how), n) > budget
        return
    assert cost_of(plan, n) <= budget * (1 + 1e-6)
    given_names = {
        "chains": plan.chains,
        "snapshots": plan.snapshots,
        "steps_per_snapshot": plan.steps,
    }
    assert all(given_names[name] == value for name, value in how.items() if name in given_names)


@laws
@given(n=st.integers(200, 30_000), low=st.floats(20.0, 100.0), more=st.floats(1.0, 4.0))
def test_more_money_is_never_less_of_a_run(n: int, low: float, more: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the least costs more than was promised
        smaller, larger = (plan_of(n, pretraining_epochs=epochs) for epochs in (low, low * more))
    assert larger.chains >= smaller.chains
    assert larger.steps >= smaller.steps


@pytest.mark.parametrize("n", [500, 2500, 4000, 4999])
def test_a_budget_that_is_large_enough_changes_nothing(n: int) -> None:
    assert plan_of(n, budget=1e6) == plan_of(n)


def test_chunks_are_halved_before_chains_are_given_up_and_those_before_snapshots() -> None:
    plans = [plan_of(2000, budget=budget) for budget in (1000.0, 90.0, 70.0, 60.0, 24.0)]
    steps, chains, snapshots = (
        [getattr(plan, name) for plan in plans] for name in ("steps", "chains", "snapshots")
    )
    assert steps == [16, 8, 8, 8, 8]
    assert chains == sorted(chains, reverse=True)
    assert (chains[0], chains[-1]) == (2, 1)
    assert snapshots[0] == 24 > min(snapshots[:-1]) >= 16
    assert snapshots[-1] < 16


@pytest.mark.parametrize(
    ("n", "most"), [(5000, 120), (8000, 75), (20_000, 30), (60_000, 20), (500_000, 20)]
)
def test_large_data_has_a_budget_by_default_and_is_evaluated(n: int, most: float) -> None:
    plan = plan_of(n)
    assert cost_of(plan, n) <= most
    assert plan.scoring == "evaluated"
    assert plan.snapshots >= 8


def test_the_default_is_a_quarter_of_a_known_pretraining() -> None:
    for n, epochs in [(1800, 150.0), (8000, 25.0), (60_000, 30.0)]:
        plan = plan_of(n, pretraining_epochs=epochs)
        assert 0.1 * epochs < cost_of(plan, n) <= 0.25 * 3 * epochs
    told = "a quarter of 0.5 epochs of training pays for 0.375 forward passes .* takes up to 7.25"
    with pytest.warns(UserWarning, match=told):
        least = plan_of(8000, pretraining_epochs=0.5)
    with pytest.warns(UserWarning, match="takes up to 7.25"):
        assert least == plan_of(8000, pretraining_epochs=0.1)  # the least that makes sense


@pytest.mark.parametrize("kind", [gx.Geometric, gx.Relearning])
def test_no_number_of_samples_is_a_cliff(kind: Any) -> None:
    """A twentieth more samples never halve what the ensemble does with each."""
    given = kind()
    sizes = (300 * 1.05 ** np.arange(120)).astype(int)
    data = [ArrayDataset(np.zeros((n, 1)), np.arange(n) % 2) for n in (*sizes, 4999, 5000)]
    plans = [given.plan(Opened(BACKEND, each, each)) for each in data]
    steps = np.array([plan.chains * plan.snapshots * plan.steps for plan in plans])
    updates = steps * np.array([plan.batch_size for plan in plans]) / list(map(len, data))
    assert (updates[1:-2] > 0.5 * updates[:-3]).all()
    assert updates[-1] > 0.95 * updates[-2]


def test_relearning_keeps_its_promise_or_says_so_before() -> None:
    for n in (300, 1000, 3000, 5000, 16_000, 60_000, 10**6):
        data = ArrayDataset(np.zeros((n, 1)), np.arange(n) % 2)
        given = Opened(BACKEND, data, data)
        cost = {}
        for epochs in (12.0, 25.0, 100.0):
            ensemble = gx.Relearning(pretraining_epochs=epochs)
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                plan = ensemble.plan(given)
            cost[epochs] = relearned(plan, n, ensemble.asked()).epochs(n)
            assert bool(told) == (cost[epochs] > 0.25 * 3 * epochs)
        assert cost[12.0] <= 0.352 * 3 * 12
        assert cost[25.0] <= 0.25 * 3 * 25
        assert cost[100.0] <= 0.25 * 3 * 100
        # the negative control: without the promise a run costs more
        usual = gx.Relearning()
        free = relearned(usual.plan(given), n, usual.asked()).epochs(n)
        assert free > 0.25 * 3 * 25


def test_a_small_budget_makes_one_chain_longer_before_two_are_short() -> None:
    data = ArrayDataset(np.zeros((2000, 1)), np.arange(2000) % 2)
    made = [
        gx.Relearning(budget=budget).plan(Opened(BACKEND, data, data))
        for budget in (40.0, 31.0, 29.0, 22.0, 18.0, 10.0)
    ]
    assert [(plan.chains, plan.snapshots // plan.parts) for plan in made] == [
        (2, 5), (2, 4), (1, 5), (1, 5), (1, 3), (1, 1),
    ]  # fmt: skip


def test_what_the_user_sets_is_not_refused_for_a_budget_that_he_did_not_set() -> None:
    assert plan_of(20_000, chains=8, snapshots=40, steps_per_snapshot=200).steps == 200
    data = ArrayDataset(np.zeros((20_000, 1)), np.zeros(20_000, int))
    assert gx.GEX.paper().plan(Opened(BACKEND, data, data)).chains == 32


def test_passes_and_epochs_are_the_same_in_other_units() -> None:
    assert plan_of(4000, budget=40.0) == plan_of(4000, budget=gx.Budget(passes=40.0 * 4000))
    assert plan_of(4000, budget=gx.Budget(epochs=40.0, passes=1e9)) == plan_of(4000, budget=40.0)


def test_seconds_are_counted_by_the_time_of_a_batch() -> None:
    data = ArrayDataset(np.zeros((400, 1)), np.arange(400) % 2)
    (limit,) = limits(gx.Budget(seconds=2.0), BACKEND, data, batch_size=64)
    assert limit.most == 2.0
    assert (
        0 < limit.price(Passes(forward=100)) < limit.price(Passes(forward=100, step=1)) < math.inf
    )
    assert limit.price(Passes(forward=200, step=4)) == pytest.approx(
        2 * limit.price(Passes(forward=100, step=2))
    )
    assert plan_of(400, budget=gx.Budget(seconds=1e6)) == plan_of(400)
    with pytest.raises(
        InvalidSettingError, match="the budget is too small: 1 × 6 snapshots of 8 steps, the least"
    ):
        plan_of(400, budget=gx.Budget(seconds=1e-9))


def test_a_run_costs_at_most_what_was_planned_and_says_both(trained: Any) -> None:
    run = gx.GEX(budget=160.0, snapshots=12).fit(trained.model, trained.data, progress=False).run
    assert all(
        taken <= planned
        for taken, planned in zip(run.passes._replace(copies=0), run.planned, strict=True)
    )
    assert run.passes.epochs(96) < run.planned.epochs(96) <= 160.0
    record = run.to_dict()
    assert record["planned"]["epochs"] == round(run.planned.epochs(96), 3)
    assert record["settings"]["budget"] == 160.0


def test_a_run_without_feedback_costs_what_was_planned(trained: Any) -> None:
    run = (
        gx.GEX(budget=160.0, snapshots=12, lr=0.1)
        .fit(trained.model, trained.data, progress=False)
        .run
    )
    assert run.planned == run.passes._replace(copies=0)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({}, "the budget is empty; give epochs, passes or seconds"),
        ({"epochs": 0}, "the budget has epochs=0, and must have a positive finite number"),
        ({"seconds": math.inf}, "the budget has seconds=inf"),
        ({"passes": "many"}, "the budget has passes='many'"),
    ],
)
def test_what_is_no_budget_is_refused(how: Any, told: str) -> None:
    with pytest.raises(InvalidSettingError, match=told):
        gx.Budget(**how)


def test_settings_that_are_no_budget_are_refused() -> None:
    with pytest.raises(
        InvalidSettingError, match="budget is -1, and must be a finite number above 0"
    ):
        gx.GEX(budget=-1)
    with pytest.raises(
        InvalidSettingError, match="pretraining_epochs is 0, and must be a finite number above 0"
    ):
        gx.GEX(pretraining_epochs=0)


def test_the_seconds_of_a_long_run_are_said_before_it(
    trained: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are only shown: the scores are those of a run that shows nothing."""
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    method = gx.GEX(chains=1, snapshots=2, lr=0.05)
    short = method.fit(trained.model, trained.data, progress=True)
    assert "passes over the data: snapshot 1 of 2" in capsys.readouterr().err
    monkeypatch.setattr(drawing, "LONG", 0.0)
    long = method.fit(trained.model, trained.data, progress=True)
    assert re.search(r"passes over the data, about \d+ s: snapshot 1 of", capsys.readouterr().err)
    np.testing.assert_array_equal(long.losses, short.losses)
