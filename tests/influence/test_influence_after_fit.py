"""Questions to a finished fit: new test data, label suggestions, runs without members or without
kept states."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.backend.batches import training_order
from gexcore.backend.protocols import SupportsLogits
from gexcore.ensembles import recomputed
from gexcore.errors import InvalidSettingError, MissingCapabilityError
from gexcore.influence.confusions import lifts
from gexcore.influence.transition import likely_other, with_given
from gexcore_numpy import MLP, NumpyBackend

RUN = {"chains": 2, "snapshots": 4, "lr": 0.02, "steps_per_snapshot": 4, "batch_size": 16}


def fit(model: Any, data: Any, *, test: Any = None, **settings: Any) -> gx.Influence:
    return gx.GEX(**{**RUN, **settings}).fit(model, data, test=test, progress=False)


@pytest.fixture
def new_data(trained: Any) -> Any:
    rng = np.random.default_rng(1)
    return trained.x[:6] + 0.1 * rng.normal(size=(6, 5)), trained.y[:6]


@pytest.mark.parametrize("fixture", ["trained", "normalised"])
def test_new_data_of_the_fit_and_later_ones_give_the_same(
    fixture: str, new_data: Any, request: Any
) -> None:
    given_model = request.getfixturevalue(fixture)
    found = fit(given_model.model, given_model.data, test=new_data, scoring="evaluated")
    assert found.influence().shape == (6, 96)
    np.testing.assert_allclose(found.influence(new_data), found.influence(), rtol=1e-9)
    mean = found.weighted("mean", center="checkpoint")
    np.testing.assert_array_equal(mean.influence(new_data), mean.influence())
    np.testing.assert_array_equal(
        mean.influence(given_model.data)[:, :5], mean.influence(given_model.data)[:5].T
    )


@pytest.mark.parametrize("fixture", ["trained", "normalised"])
@pytest.mark.parametrize("keep", [0, 2])
@pytest.mark.parametrize("lr", [0.02, "auto"])
def test_later_data_are_seen_by_all_members(
    fixture: str, keep: int, lr: Any, new_data: Any, request: Any
) -> None:
    given = request.getfixturevalue(fixture)
    how = {"test": new_data, "scoring": "evaluated", "keep": keep, "lr": lr}
    found = fit(given.model, given.data, **how)
    assert len(found.members.rows) < len(found.table)
    np.testing.assert_allclose(found.influence(new_data), found.influence(), rtol=1e-9)
    few = dataclasses.replace(found, all_members=None)
    if keep:  # what the kept members alone say is another thing
        assert not np.allclose(few.influence(new_data), found.influence(), rtol=0.1)
    else:
        with pytest.raises(InvalidSettingError, match="fit with keep > 0"):
            few.influence(new_data)


def test_states_of_all_members_are_held_only_if_they_fit(
    trained: Any, new_data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = fit(trained.model, trained.data, scoring="evaluated", keep=2)
    held = found.influence(new_data)
    assert len(found.all_members.held.states) == len(found.table)
    monkeypatch.setattr(recomputed, "STATE_BUDGET", 100)
    again = fit(trained.model, trained.data, scoring="evaluated", keep=2)
    np.testing.assert_array_equal(again.influence(new_data), held)
    assert again.all_members.held is again.all_members


@pytest.mark.parametrize("steps", [3, 12], ids=["rows with gaps", "rows without"])
@pytest.mark.parametrize("with_test", [False, True])
def test_scoring_by_training_batches_evaluates_its_kept_members(
    trained: Any, new_data: Any, steps: int, with_test: bool
) -> None:
    test = new_data if with_test else None
    found = fit(
        trained.model,
        trained.data,
        test=test,
        scoring="training_batches",
        steps_per_snapshot=steps,
        keep=2,
        weights="mean",
    )
    assert bool(np.isnan(found.losses).any()) == (steps == 3)
    kept = found.members.evaluate(trained.data)
    dev = kept.losses - kept.base_losses
    tests = found.members.evaluate(new_data if with_test else trained.data)
    wanted = (tests.losses - tests.base_losses).T @ dev / 4
    np.testing.assert_allclose(found.influence(), wanted)
    np.testing.assert_allclose(found.influence(new_data if with_test else trained.data), wanted)


def test_a_suggested_label_is_the_likely_other_one(normalised: Any) -> None:
    found = fit(normalised.model, normalised.data, scoring="evaluated", lr=0.2)
    given = normalised.data[1]
    backend = found.members.backend
    total = np.zeros((96, 3))
    for state in found.members.states:
        scores = np.exp(backend.logits(found.members.refresh(state), normalised.data))
        total += scores / scores.sum(axis=1, keepdims=True)
    assert len(found.members.states) == 8
    np.testing.assert_allclose(found.predictions().probabilities, total / 8)
    base = backend.logits(found.members.refresh(backend.initial_state()), normalised.data)
    trained = np.exp(base) / np.exp(base).sum(axis=1, keepdims=True)
    p = 0.9 * np.exp(-found.losses).mean(axis=0) + 0.1 * np.exp(-found.base_losses)
    q = with_given(given, p, 0.9 * total / 8 + 0.1 * trained)
    other = likely_other(given, q, lifts(given, q))
    np.testing.assert_array_equal(found.suggested_labels(), other)
    assert (other != given).all()
    np.testing.assert_array_equal(found.predictions().suggested, other)
    np.testing.assert_array_equal(found.relabel("other", [5, 3]).targets[[3, 5]], other[[3, 5]])


def test_suggestions_know_the_confusion_of_the_data() -> None:
    """A third of class 0 is labelled 1; the members alone find few of the right labels."""
    rng = np.random.default_rng(2)
    true = np.repeat(np.arange(4), 100)
    x = 1.6 * rng.normal(size=(4, 6))[true] + rng.normal(size=(400, 6))
    y = true.copy()
    y[:33] = 1
    backend = NumpyBackend(MLP.init((6, 64, 4), seed=0))
    state, batches = backend.initial_state(), training_order(400, 32, seed=0, chain=0)
    for _ in range(1500):
        rows, seed = next(batches)
        state = backend.sgd_step(state, (x[rows], y[rows]), lr=0.1, seed=seed)
    found = gx.GEX(chains=2, snapshots=8, seed=1).fit(
        backend.to_model(state), (x, y), progress=False
    )
    best = found.predictions().probabilities[:33].argmax(axis=1)
    right = (found.suggested_labels()[:33] == 0).mean()
    assert right > 0.9
    assert right > (best == 0).mean() + 0.1


def test_a_backend_without_logits_suggests_nothing(trained: Any) -> None:
    class Mute(NumpyBackend):
        def __init__(self, model: Any) -> None:
            super().__init__(model)
            self.unsupported |= {SupportsLogits}

    found = fit(Mute(trained.model), trained.data)
    assert set(found.columns()["suggested_label"]) == {None}
    with pytest.raises(
        MissingCapabilityError, match=r"the label suggestion needs SupportsLogits \(logits\)"
    ):
        found.suggested_labels()


class Still(NumpyBackend):
    """Never leaves its checkpoint."""

    def sgd_step_(self, state: Any, batch: Any, /, *, lr: float, seed: int) -> Any:
        return super().sgd_step_(state, batch, lr=0.0, seed=seed)


@pytest.mark.parametrize("scoring", ["evaluated", "training_batches"])
def test_a_run_that_never_warmed_up_still_ranks_by_the_loss(
    trained: Any, scoring: str, new_data: Any
) -> None:
    found = fit(
        Still(trained.model), trained.data, lr="auto", snapshots=1, scoring=scoring, test=new_data
    )
    assert found.run.count() == {"member": 0, "cold": 56, "melted": 0, "diverged": 0}
    assert "0 members of 0 chains (56 cold left out)" in repr(found)
    np.testing.assert_array_equal(found.suspicion(), found.base_losses)
    np.testing.assert_array_equal(found.ranking(), np.argsort(-found.base_losses, kind="stable"))
    assert np.isnan(found.self_influence()).all()
    assert np.isnan(found.standard_error()).all()
    assert found.suspects().threshold.reason == "the run has no usable member"
    assert len(found.columns()["suggested_label"]) == 96
    for test in (None, new_data):
        with pytest.raises(
            InvalidSettingError, match="the run has no usable member, and influence is a mean over"
        ):
            found.influence(test)


def test_training_batches_without_kept_states_say_what_to_set(trained: Any, new_data: Any) -> None:
    free = fit(trained.model, trained.data, scoring="training_batches", keep=0)
    for test in (None, new_data):
        with pytest.raises(
            InvalidSettingError,
            match=r"influence after scoring by training batches needs .* fit with keep > 0",
        ):
            free.influence(test)
