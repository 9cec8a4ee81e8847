"""Relearning: where chains start, what they rank, and that nothing else decides their bits."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

import gexcore as gx
from gexcore.backend.protocols import SupportsParams
from gexcore.ensembles.relearner import Search
from gexcore.ensembles.search import Trials, search_steps
from gexcore.ensembles.skill import ClassSkill
from gexcore.ensembles.start import Shrunk, reference_of
from gexcore.errors import (
    InvalidModelError,
    InvalidSettingError,
    MissingCapabilityError,
    StoreError,
    StoreMismatchError,
)
from gexcore.evaluation.opening import opened
from gexcore.store import chains as chains_module
from gexcore.store import merge_stores
from gexcore_numpy import MLP, NumpyBackend
from tests.store.same import TEST, assert_same

RELEARNING = gx.Relearning(epochs=6, chains=2)


@pytest.fixture
def store_every_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains_module, "SHARE", 1e9)


def fit(problem: Any, ensemble: Any = RELEARNING, store: Any = None, **how: Any) -> Any:
    model, data = problem
    method = gx.GEX(ensemble=ensemble, keep=2)
    return method.fit(model, data, store=store, progress=False, **how)


@pytest.fixture(scope="module")
def expected(problem: Any) -> Any:
    found = fit(problem)
    assert len(found.table) > 4
    return found


def test_the_start_is_between_the_reference_and_the_model(trained: Any, normalised: Any) -> None:
    for given in (trained, normalised):
        backend = NumpyBackend(given.model)
        theta = backend.ravel(backend.initial_state())
        reference = np.random.default_rng(0).normal(size=theta.shape)
        for start in (Shrunk(1.0), Shrunk(1.0, reference)):
            np.testing.assert_array_equal(backend.ravel(start.state(backend)), theta)
        np.testing.assert_array_equal(
            backend.ravel(Shrunk(0.0, reference).state(backend)), reference
        )
        assert not backend.ravel(Shrunk(0.0).state(backend)).any()
        half = backend.ravel(Shrunk(0.25, reference).state(backend))
        np.testing.assert_allclose(half, reference + 0.25 * (theta - reference))
        np.testing.assert_array_equal(backend.ravel(backend.initial_state()), theta)


def test_relearned_members_rank_wrong_labels_that_the_model_memorised(trained: Any) -> None:
    found = fit((trained.model, trained.data), gx.Relearning())
    ap = average_precision_score(trained.wrong, found.suspicion())
    plain = average_precision_score(trained.wrong, found.checkpoint_losses)
    assert ap > 0.75
    assert ap > plain + 0.3
    # the negative control: the same chains from θ* itself have nothing to relearn
    knows = fit((trained.model, trained.data), gx.Relearning(scale=1.0, lr=1e-4))
    assert average_precision_score(trained.wrong, knows.suspicion()) < ap - 0.3


def test_each_member_is_one_epoch(expected: Any, problem: Any) -> None:
    plan = expected.run.plan
    seen = np.isfinite(expected.losses).sum(axis=1)
    assert set(seen) == {plan.epoch_steps * plan.batch_size}
    assert len(expected.run.members()) == len(expected.table)
    assert set(expected.table.chains) == {0, 1}
    steps = 2 * 6 * plan.epoch_steps * plan.batch_size
    searched = expected.run.passes.step - steps
    assert 0 < searched <= 12 * 7 * plan.batch_size
    assert expected.run.passes.forward == 2 * len(problem[1][1])
    assert expected.run.passes.epochs(60) <= expected.run.planned.epochs(60)


def test_the_record_says_what_was_chosen(expected: Any) -> None:
    told = expected.record()
    assert told["chosen"]["ensemble"] == "relearning"
    assert told["chosen"]["scale"] == 0.1
    assert told["chosen"]["reference"] == "zero"
    assert told["chosen"]["first_lr"] > 0
    assert told["chosen"]["left_chance"] is True
    assert "Relearning(" in told["settings"]["ensemble"]
    assert "relearning" in repr(expected)


def test_executors_give_the_serial_bits(problem: Any, expected: Any) -> None:
    with ThreadPoolExecutor(2) as pool:
        assert_same(fit(problem, executor=pool), expected)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert_same(fit(problem, executor=pool), expected)
    assert not np.array_equal(
        fit(problem, gx.Relearning(epochs=6, chains=2, seed=1)).losses, expected.losses
    )


class Stop(Exception):  # noqa: N818
    pass


class Counted(NumpyBackend):
    """Counts its steps, and may stop the run at one of them."""

    steps = 0
    last: int | None = None

    def sgd_step_(self, state: Any, batch: Any, /, *, lr: float, seed: int) -> Any:
        if self.steps == self.last:
            raise Stop
        self.steps += 1
        return super().sgd_step_(state, batch, lr=lr, seed=seed)


@pytest.mark.usefixtures("store_every_snapshot")
def test_a_stopped_run_goes_on_where_its_epoch_began(
    problem: Any, expected: Any, tmp_path: Path
) -> None:
    epoch = expected.run.plan.epoch_steps
    searched = expected.run.passes.step // expected.run.plan.batch_size - 12 * epoch
    stopped = Counted(problem[0])
    stopped.last = searched + 2 * epoch + 3  # within the third epoch
    with pytest.raises(Stop):
        fit((stopped, problem[1]), store=tmp_path / "s")
    again = Counted(problem[0])
    assert_same(fit((again, problem[1]), store=tmp_path / "s"), expected)
    assert again.steps == 10 * epoch, "the search or an epoch was done twice"
    done = Counted(problem[0])
    assert_same(fit((done, problem[1]), store=tmp_path / "s"), expected)
    assert done.steps == 0
    with pytest.raises(StoreMismatchError, match="start"):
        fit(problem, gx.Relearning(epochs=6, chains=2, scale=0.2), store=tmp_path / "s")
    search = tmp_path / "s" / "checkpoints" / "search.json"
    search.write_bytes(search.read_bytes().replace(b"0.1", b"0.2"))
    with pytest.raises(StoreError, match=r"search\.json is damaged"):
        fit(problem, store=tmp_path / "s")


@pytest.mark.usefixtures("store_every_snapshot")
def test_chains_of_other_jobs_merge_into_one_run(
    problem: Any, expected: Any, tmp_path: Path
) -> None:
    for chain in (0, 1):
        job = gx.Relearning(epochs=6, chains=1, first_chain=chain)
        fit(problem, job, store=tmp_path / f"job{chain}")
    assert merge_stores(tmp_path / "all", tmp_path / "job0", tmp_path / "job1") == [0, 1]
    assert_same(fit(problem, store=tmp_path / "all"), expected)


def test_a_reference_of_the_same_structure_is_what_the_start_shrinks_to(trained: Any) -> None:
    other = MLP.init((5, 32, 3), seed=9)
    backend = NumpyBackend(trained.model)
    found = reference_of(backend, other)
    assert found is not None
    np.testing.assert_array_equal(
        found, NumpyBackend(other).ravel(NumpyBackend(other).initial_state())
    )
    run = fit((trained.model, trained.data), gx.Relearning(reference=other, epochs=4))
    assert run.run.chosen["reference"] == "given"
    assert len(run.table)
    zero = fit((trained.model, trained.data), gx.Relearning(epochs=4))
    assert not np.array_equal(run.losses, zero.losses)
    with pytest.raises(InvalidModelError, match="checkpoint"):
        reference_of(backend, MLP.init((5, 8, 3), seed=9))


def test_the_scale_is_halved_while_the_start_knows_the_labels(trained: Any) -> None:
    near = replace(trained.model, biases=[bias + 1e-6 for bias in trained.model.biases])
    knows = fit((trained.model, trained.data), gx.Relearning(epochs=3, reference=near))
    # from nearly its own weights every start is θ*: the search gives up after four halvings
    assert knows.run.chosen["scale"] == 0.1 / 2**4
    fixed = fit(
        (trained.model, trained.data),
        gx.Relearning(epochs=3, reference=near, scale=0.1),
    )
    assert fixed.run.chosen["scale"] == 0.1


def test_the_scale_is_raised_where_the_start_never_leaves_chance(trained: Any) -> None:
    given = opened(trained.model, trained.data, progress=False)
    plan, base = gx.Relearning().plan(given), given.seen.losses
    skill = ClassSkill(trained.y, 3, base, by_size=False)

    def trials(lr: float) -> Trials:
        return Trials(given.backend, given.train, skill, plan, Search(lr, skill.chance, trials=5))

    # so small a rate moves nothing: only a start that keeps more of the model has skill
    found = trials(1e-9).run(Shrunk(0.005))
    assert found.raised
    assert found.left
    assert found.scale > 0.005
    assert found.steps == (5 * round(np.log2(found.scale / 0.005)) + 1) * search_steps(plan)
    fixed = trials(1e-9).run(Shrunk(0.005), fixed=True)
    assert (fixed.scale, fixed.left, fixed.raised) == (0.005, False, False)
    # the negative control: with a rate that moves it, the same start leaves chance
    moved = trials(0.05).run(Shrunk(0.005))
    assert (moved.scale, moved.left, moved.raised) == (0.005, True, False)


def test_of_two_scales_the_smaller_one_is_taken_where_the_larger_one_learns_at_once(
    trained: Any,
) -> None:
    given = opened(trained.model, trained.data, progress=False)
    for lr, scale in ((0.5, 0.05), (1e-7, 0.1)):
        both = gx.Relearning(scale=(0.1, 0.05), lr=lr, epochs=3, chains=1).draw(given)
        one = gx.Relearning(scale=scale, lr=lr, epochs=3, chains=1).draw(given)
        assert both.chosen["scale"] == scale
        np.testing.assert_array_equal(both.table.losses, one.table.losses)
        half = (one.plan.epoch_steps // 2) * one.plan.batch_size
        assert both.passes.step - one.passes.step == half
        assert both.planned.step - one.planned.step == half


def test_a_stored_run_keeps_the_scale_of_its_trial(problem: Any, tmp_path: Path) -> None:
    def fitted(scale: Any) -> Any:
        return fit(problem, gx.Relearning(scale=scale, lr=0.1, epochs=6), store=tmp_path / "run")

    first = fitted((0.2, 0.4))
    again = fitted((0.4, 0.2))
    assert again.run.chosen == first.run.chosen
    np.testing.assert_array_equal(again.losses, first.losses)
    with pytest.raises(StoreMismatchError):
        fitted(0.4)


def test_settings_are_checked() -> None:
    for name, value in {
        "scale": 1.5,
        "lr": 0.0,
        "epochs": 0,
        "chains": 0,
        "momentum": -1.0,
        "optimizer": "lion",
        "budget": -1,
    }.items():
        with pytest.raises(InvalidSettingError, match=name):
            gx.Relearning(**{name: value})
    for wrong in ((0.2, 0.4, 0.6), (0.4,), (), [0.2, 0.4], np.array([0.2, 0.4]), None):
        with pytest.raises(InvalidSettingError, match="with an lr a pair of numbers as a tuple"):
            gx.Relearning(scale=wrong, lr=0.1)  # type: ignore[arg-type]
    for wrong in ((0.2, 1.5), (0.2, -1.0), ("a", 1), (0.2, np.nan), "x"):
        with pytest.raises(InvalidSettingError, match="scale is"):
            gx.Relearning(scale=wrong, lr=0.1)  # type: ignore[arg-type]
    with pytest.raises(InvalidSettingError, match="with an lr a pair of numbers"):
        gx.Relearning(scale=(0.2, 0.4))
    with pytest.raises(InvalidSettingError, match=r"snapshots belong to the ensemble"):
        gx.GEX(ensemble=gx.Relearning(), snapshots=4)
    with pytest.raises(InvalidSettingError, match=r"allowed are gexcore\.Geometric"):
        gx.GEX(ensemble=gx.GEX())


def test_a_backend_without_flat_parameters_has_the_geometric_ensemble(problem: Any) -> None:
    opaque = NumpyBackend(problem[0])
    opaque.unsupported = frozenset([*opaque.unsupported, SupportsParams])
    asked = gx.Relearning(chains=2, batch_size=16, seed=3, budget=600)
    found = fit((opaque, problem[1]), asked)
    same = gx.Geometric(chains=2, batch_size=16, seed=3, budget=600)
    assert_same(found, fit((NumpyBackend(problem[0]), problem[1]), same))
    assert found.run.chosen["ensemble"] == "geometric"
    assert found.run.chosen["lacks"] == ["params"]
    # the ensemble by itself has no other to fall back on
    with pytest.raises(MissingCapabilityError, match="SupportsParams"):
        asked.draw(opened(opaque, problem[1], progress=False))


def test_a_geometric_ensemble_as_a_value_is_the_same_as_its_settings(problem: Any) -> None:
    settings = {"chains": 2, "snapshots": 6, "steps_per_snapshot": 8, "batch_size": 16}
    one = gx.GEX(**settings, keep=2).fit(*problem, progress=False)
    other = fit(problem, gx.Geometric(**settings))
    assert_same(one, other)


def test_a_budget_is_kept_or_refused(problem: Any) -> None:
    for limit in (50, 70, 150):
        found = fit(problem, gx.Relearning(budget=limit))
        assert found.run.passes.epochs(60) <= found.run.planned.epochs(60) <= limit
    with pytest.raises(InvalidSettingError, match="the budget is too small"):
        fit(problem, gx.Relearning(budget=5))


def test_influence_on_other_samples(expected: Any) -> None:
    assert expected.influence(TEST).shape == (4, 60)
