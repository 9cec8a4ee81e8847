"""The estimator: what it settles, what it asks of a backend, what it reports, and that it finds
wrong labels."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.backend.data import ArrayDataset
from gexcore.backend.protocols import SupportsTrainingLosses
from gexcore.ensembles.budget import Limit, planned_passes
from gexcore.ensembles.plan import Plan
from gexcore.ensembles.resolve import settle
from gexcore.ensembles.thermostat import OpenLoop, Thermostat
from gexcore.errors import InvalidSettingError, MissingCapabilityError
from gexcore.evaluation.first_look import first_look
from gexcore_numpy import MLP, NumpyBackend

QUICK = {"chains": 1, "snapshots": 2, "steps_per_snapshot": 3, "batch_size": 16}


def fit(model: Any, data: Any, *, settings: Any = None, **arguments: Any) -> gx.Influence:
    return gx.GEX(**{**QUICK, **(settings or {})}).fit(model, data, progress=False, **arguments)


def settled(n: int, *, backend: Any = None, **settings: Any) -> Plan:
    auto = {
        "chains": "auto",
        "snapshots": "auto",
        "steps": "auto",
        "batch_size": "auto",
        "scoring": "auto",
    }
    usual = {"feedback": True, "optimizer": "sgd", "seed": 0}
    return settle(
        backend or NumpyBackend(MLP.init((2, 2), seed=0)), n, **{**auto, **usual, **settings}
    )


@pytest.mark.parametrize(
    ("n", "chains", "batch_size", "steps", "scoring"),
    [
        (5, 2, 5, 16, "evaluated"),
        (100, 2, 8, 16, "evaluated"),
        (1000, 2, 15, 17, "evaluated"),
        (2999, 2, 46, 16, "evaluated"),
        (4999, 2, 78, 16, "evaluated"),
        (5000, 2, 78, 16, "evaluated"),
        (60000, 2, 128, 117, "evaluated"),
    ],
)
def test_auto_follows_the_number_of_samples(
    n: int, chains: int, batch_size: int, steps: int, scoring: str
) -> None:
    plan = settled(n)
    assert (plan.chains, plan.batch_size, plan.steps, plan.scoring) == (
        chains,
        batch_size,
        steps,
        scoring,
    )


def test_a_budget_is_spent_on_evaluated_snapshots() -> None:
    limit = Limit(lambda passes: passes.epochs(60000), 17.0)
    plan = settled(60000, limits=[limit])
    assert (plan.scoring, plan.chains, plan.snapshots, plan.steps) == ("evaluated", 1, 9, 58)
    assert limit.allows(planned_passes(plan, 60000, refreshed=0))
    small = limit._replace(most=10.0)  # does not pay for six
    assert settled(60000, limits=[small]).scoring == "training_batches"
    assert (
        settled(4999, limits=[Limit(lambda passes: passes.epochs(4999), 20.0)]).scoring
        == "evaluated"
    )
    assert settled(60000, limits=[limit], scoring="training_batches").scoring == "training_batches"


def test_scoring_by_training_batches_is_chosen_only_where_it_works() -> None:
    class Silent(NumpyBackend):
        unsupported = frozenset()

        def __init__(self) -> None:
            super().__init__(MLP.init((2, 2), seed=0))
            self.unsupported = {SupportsTrainingLosses}

    limit = Limit(lambda passes: passes.epochs(60000), 10.0)
    for settings in ({"backend": Silent()}, {"feedback": False}, {"optimizer": "adamw"}):
        plan = settled(60000, limits=[limit], hard=False, **settings)
        assert plan.scoring == "evaluated"
    with pytest.raises(
        MissingCapabilityError,
        match=r'scoring="training_batches" needs SupportsTrainingLosses \(training_losses\)',
    ):
        settled(60000, backend=Silent(), scoring="training_batches")


def test_presets_are_the_recipes_of_the_paper_and_of_its_code() -> None:
    paper, code = gx.GEX.paper(), gx.GEX.public_code()
    assert (paper.chains, paper.snapshots, paper.steps_per_snapshot, paper.floor) == (
        32,
        1,
        800,
        0.0,
    )
    assert (code.chains, code.snapshots, code.steps_per_snapshot, code.floor) == (8, 4, 800, 0.05)
    for preset in (paper, code):
        assert preset.ceiling is None
        assert preset.lr == gx.Cosine(0.05, 800)
        assert (preset.scoring, preset.momentum, preset.weight_decay) == ("evaluated", 0.9, 5e-4)
    scaled = gx.GEX.paper(chains=3, steps=10, lr=0.1, seed=5, weight_decay=0.0)
    assert (scaled.lr, scaled.chains, scaled.seed, scaled.weight_decay) == (
        gx.Cosine(0.1, 10),
        3,
        5,
        0.0,
    )


def test_the_learning_rate_chooses_the_controller() -> None:
    plan = settled(100)
    schedule = gx.Cosine(0.1, 5)
    for settings, wanted in [
        ({}, Thermostat(1e-3, 24)),
        ({"optimizer": "adamw"}, Thermostat(1e-5, 24)),
        ({"lr": 0.3}, OpenLoop(gx.Constant(0.3), 24)),
        ({"lr": schedule}, OpenLoop(schedule, 24)),
    ]:
        assert gx.GEX(**settings)._controller(plan) == wanted


def test_weight_decay_goes_with_the_batch_of_sgd_and_is_left_to_who_sets_the_learning_rate() -> (
    None
):
    for settings, samples, wanted in [
        ({}, 100, 0.25 / 8),
        ({}, 5, 0.25 / 5),
        ({}, 60_000, 0.25 / 128),
        ({"batch_size": 50}, 60_000, 0.25 / 50),
        ({"optimizer": "adamw"}, 100, 2.0),
        ({"optimizer": "adamw"}, 60_000, 2.0),
        ({"lr": 0.1}, 100, 0.0),
        ({"lr": 0.1, "weight_decay": 1e-3}, 100, 1e-3),
        ({"weight_decay": 1e-3}, 100, 1e-3),
        ({"weight_decay": 0.0, "optimizer": "adamw"}, 100, 0.0),
    ]:
        assert gx.GEX(**settings).optimizer_for(samples).weight_decay == pytest.approx(
            wanted, rel=1e-12
        )


def test_the_run_tells_the_optimizer_and_its_decay_unless_the_backend_has_its_own(
    trained: Any,
) -> None:
    model, data = trained.model, trained.data
    geometric = {"ensemble": None}
    assert fit(model, data, settings=geometric).run.chosen == {
        "optimizer": "sgd",
        "weight_decay": 0.25 / 16,
    }
    settings = {"weight_decay": 0.5, "optimizer": "adamw"} | geometric
    assert fit(model, data, settings=settings).record()["chosen"] == {
        "optimizer": "adamw",
        "weight_decay": 0.5,
    }
    own = {"optimizer": "the optimizer of the backend"}
    assert fit(NumpyBackend(model), data, settings=geometric).run.chosen == own


def test_a_backend_that_steps_with_what_the_method_would_take_scores_alike(trained: Any) -> None:
    model, data = trained.model, trained.data
    wanted = fit(model, data)
    optimizer = gx.GEX(**QUICK).optimizer_for(len(data[1]))
    np.testing.assert_array_equal(
        fit(NumpyBackend(model, optimizer=optimizer), data).losses, wanted.losses
    )
    assert not np.array_equal(fit(NumpyBackend(model), data).losses, wanted.losses)


def test_members_step_on_the_training_data_and_are_scored_on_the_data(trained: Any) -> None:
    class Recording(ArrayDataset):
        def __init__(self, *columns: Any) -> None:
            super().__init__(*columns)
            self.batches = self.augmentations = 0

        def batch(self, indices: Any, /) -> Any:
            self.batches += 1
            return super().batch(indices)

        def augmented(self, indices: Any, /, *, seed: int) -> Any:
            self.augmentations += 1
            return super().batch(indices)

    data, train = Recording(*trained.data), Recording(*trained.data)
    found = fit(
        trained.model, data, train_data=train, settings={"scoring": "evaluated", "lr": 0.02}
    )
    assert (train.batches, train.augmentations, data.augmentations) == (0, 6, 0)
    assert data.batches > 0
    np.testing.assert_array_equal(
        found.losses, fit(trained.model, trained.data, settings={"lr": 0.02}).losses
    )


def test_what_is_learnt_about_the_data(trained: Any) -> None:
    seen = first_look(NumpyBackend(trained.model), ArrayDataset(*trained.data), batch_size=10)
    np.testing.assert_array_equal(seen.labels, trained.y)
    assert seen.classes == 3
    soft = np.eye(3)[trained.y] * 0.8 + 0.2 / 3
    seen = first_look(NumpyBackend(trained.model), ArrayDataset(trained.x, soft))
    np.testing.assert_array_equal(seen.labels, trained.y)


def test_numbers_are_no_classes_under_squared_error() -> None:
    x = np.random.default_rng(0).normal(size=(64, 2))
    y = np.round(3 * x[:, 0] + 8)
    model = MLP([np.array([[3.0], [0.0]])], [np.array([8.0])])
    whole, real = (
        fit(model, (x, t), loss="squared_error", settings={"snapshots": 8})
        for t in (y.astype(int), y)
    )
    assert whole.run.snapshots == real.run.snapshots
    assert whole.run.snapshots[0].skill == pytest.approx(1.0, abs=0.05)
    assert (whole.labels, whole.run.classes) == (None, None)
    assert whole.clip == whole.ceiling == pytest.approx(3 * np.median((y - y.mean()) ** 2))
    assert set(whole.columns()["suggested_label"]) == {None}


def test_deviations_are_of_losses_bounded_by_the_clip_where_it_is_known(trained: Any) -> None:
    hot = {"lr": 2.0, "snapshots": 6, "steps_per_snapshot": 16}
    found = fit(trained.model, trained.data, settings=hot)
    assert found.losses.max() > found.clip
    bounded = np.minimum(found.losses, found.clip) - np.minimum(found.base_losses, found.clip)
    np.testing.assert_allclose(found.deviations(), bounded)
    mean = found.weighted("mean", center="checkpoint")
    np.testing.assert_allclose(np.diag(mean.influence()), found.self_influence())
    for given, ceiling in [(0.5, 0.5), (None, np.inf)]:
        other = fit(trained.model, trained.data, settings={**hot, "ceiling": given})
        np.testing.assert_allclose(other.self_influence(), found.self_influence(ceiling=ceiling))


def test_the_checkpoint_losses_are_those_of_the_model_as_given(normalised: Any) -> None:
    backend = NumpyBackend(normalised.model)
    found = fit(normalised.model, normalised.data)
    plain = backend.forward(backend.initial_state(), normalised.data)
    np.testing.assert_allclose(found.checkpoint_losses, plain)
    assert np.abs(found.base_losses - plain).max() > 1e-3


def test_the_record_of_a_run_is_plain_and_complete(trained: Any) -> None:
    found = fit(
        trained.model,
        trained.data,
        settings={"lr": gx.Cosine(0.02, 3), "seed": 4, "scoring": "evaluated"},
    )
    record = json.loads(json.dumps(found.run.to_dict()))
    assert (record["method"], record["backend"], record["samples"], record["classes"]) == (
        "GEX",
        "numpy",
        96,
        3,
    )
    assert record["settings"]["lr"] == "Cosine(lr=0.02, steps=3)"
    assert record["settings"]["seed"] == 4
    assert record["plan"]["batch_size"] == 16
    assert record["snapshots"]["member"] == 2
    assert [s["number"] for s in record["snapshots"]["all"]] == [0, 1]
    assert record["learning_rates"] == [0.02, 0.02]
    assert record["passes"] == {
        "forward": 4 * 96,
        "step": 2 * 3 * 16,
        "copies": 3 + 2,
        "epochs": 4 + 3.0,
    }
    assert record["seconds"] > 0
    assert {"python", "numpy"} <= set(record["versions"])


def test_wrong_labels_that_were_memorised_are_found_where_plain_loss_fails(trained: Any) -> None:
    found = gx.GEX(snapshots=20, chains=2).fit(trained.model, trained.data, progress=False)

    def precision(scores: Any) -> float:
        return float(trained.wrong[np.argsort(-scores)[:12]].mean())

    assert precision(found.checkpoint_losses) <= 0.35
    assert precision(found.suspicion()) >= precision(found.checkpoint_losses) + 0.2


def test_influence_is_a_ridge_unless_the_papers_mean_is_asked(trained: Any) -> None:
    test = trained.x[:5] + 0.1, trained.y[:5]

    def run(method: gx.GEX) -> gx.LossInfluence:
        return method.fit(trained.model, trained.data, test=test, progress=False)

    few = {"chains": 3, "snapshots": 2, "lr": 0.05, "steps_per_snapshot": 4}
    ridge, mean = run(gx.GEX(**few)), run(gx.GEX(**few, weights="mean"))
    np.testing.assert_array_equal(ridge.suspicion(), mean.suspicion())
    np.testing.assert_array_equal(ridge.self_influence(), mean.self_influence())
    wanted = ridge.weighted("ridge", center="ensemble").influence()
    np.testing.assert_array_equal(ridge.influence(), wanted)
    np.testing.assert_array_equal(
        mean.influence(), ridge.weighted("mean", center="checkpoint").influence()
    )
    assert not np.allclose(ridge.influence(), mean.influence())
    for printed in (
        gx.GEX.paper(chains=3, steps=5, batch_size=16),
        gx.GEX.public_code(steps=5, chains=2, batch_size=16),
    ):
        found = run(printed)
        tests = found.test_table
        assert tests is not None
        given = tests.bounded(found.floor, found.ceiling).block(0, 5)
        product = given.T @ found.deviations() / len(found.table)
        np.testing.assert_allclose(found.influence(), product)
    with pytest.raises(InvalidSettingError, match="weights"):
        gx.GEX(weights="median")
    with pytest.raises(InvalidSettingError, match=r"a ridge needs at least 3.*weighted\('mean'"):
        run(gx.GEX(**{**few, "chains": 1})).influence()
