"""GEX(reference=...): the run relearns from near the weights that a model was tuned from."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.decisions.metrics import average_precision
from gexcore.errors import InvalidModelError, InvalidSettingError
from gexcore.estimators.choice import chosen_ensemble
from gexcore.evaluation.opening import opened
from gexcore.influence.record import settings_of
from gexcore_numpy import MLP, NumpyBackend
from tests.estimators.test_choice import CLASSES, fit, problem, trained

START = MLP.init((12, 128, CLASSES), seed=0, dtype=np.float32)


def test_a_reference_is_relearned_from_and_the_record_says_so() -> None:
    model, x, y, wrong = problem("clusters")
    found = fit(model, x, y, reference=START)
    told = found.record()
    assert told["chosen"]["ensemble"] == "relearning"
    assert told["chosen"]["reference"] == "given"
    assert told["chosen"]["why"] == "a reference was given"
    assert told["settings"]["reference"] == "MLP"
    assert "the reference" in repr(found)
    same = fit(model, x, y, ensemble=gx.Relearning(reference=START))
    np.testing.assert_array_equal(found.losses, same.losses)
    assert not np.array_equal(found.losses, fit(model, x, y).losses)
    plain = average_precision(found.checkpoint_losses, wrong)
    assert average_precision(found.suspicion(), wrong) > plain + 0.2


def test_the_skill_of_a_reference_does_not_count_as_relearned(tmp_path: Path) -> None:
    model, x, y, wrong = problem("clusters")
    right = np.where(wrong, (y - 1) % CLASSES, y)
    skilled = trained(x[:48], right[:48], epochs=1)
    found = fit(model, x, y, reference=skilled)
    chosen = found.run.chosen
    backend = NumpyBackend(skilled)
    p = np.exp(-backend.forward(backend.initial_state(), (x, y)))
    assert np.median(p) > 0.5, "the reference has skill of its own"
    assert not chosen["knew_labels"]
    assert "relearned_at_once" not in [finding.name for finding in found.diagnose()]
    assert found.run.passes.epochs(len(y)) <= found.run.planned.epochs(len(y))
    ours = average_precision(found.suspicion(), wrong)
    assert ours > average_precision(found.checkpoint_losses, wrong) + 0.2
    # chains of an executor and stored ones are steered by the same measure
    with ThreadPoolExecutor(2) as executor:
        method = gx.GEX(reference=skilled)
        spread = method.fit(model, (x, y), executor=executor, progress=False)
    stored = [fit(model, x, y, store=tmp_path / "run", reference=skilled) for _ in range(2)]
    for other in (spread, *stored):
        assert other.run.snapshots == found.run.snapshots
        assert other.run.passes == found.run.passes
        np.testing.assert_array_equal(other.losses, found.losses)


def test_with_a_reference_a_backend_that_you_made_relearns_too() -> None:
    model, x, y, _ = problem("clusters")
    found = fit(NumpyBackend(model), x, y, reference=START)
    np.testing.assert_array_equal(found.losses, fit(model, x, y, reference=START).losses)


def test_with_a_reference_numbers_are_relearned_too() -> None:
    x = np.random.default_rng(0).normal(size=(200, 3))
    y = x.sum(axis=1, keepdims=True)
    line = MLP([np.ones((3, 1))], [np.zeros(1)])
    found = gx.GEX(reference=MLP.init((3, 1), seed=1)).fit(
        line, (x, y), loss="squared_error", progress=False
    )
    assert found.run.chosen["ensemble"] == "relearning"


def test_a_reference_of_another_structure_is_refused() -> None:
    model, x, y, _ = problem("clusters")
    with pytest.raises(InvalidModelError, match="the reference is not taken: the checkpoint"):
        fit(model, x, y, reference=MLP.init((12, 8, CLASSES), seed=0))


@pytest.mark.parametrize("name", ["the model itself", "a copy of it", "not finite"])
def test_a_reference_that_says_nothing_is_refused(name: str) -> None:
    model, x, y, _ = problem("clusters")
    reference = model if name == "the model itself" else copy.deepcopy(model)
    match = "has the weights of the trained model itself; give those"
    if name == "not finite":
        reference.weights[0][0, :2] = np.nan
        match = "has 2 parameters that are not finite; give the weights"
    with pytest.raises(InvalidModelError, match=match):
        fit(model, x, y, reference=reference)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"ensemble": None}, r"Relearning\(reference=\.\.\.\)"),
        ({"ensemble": gx.Relearning()}, r"Relearning\(reference=\.\.\.\)"),
        ({"snapshots": 6, "lr": 0.1}, "snapshots, lr to the geometric"),
        ({"optimizer": lambda params: None}, "optimizer to the geometric"),
    ],
)
def test_a_reference_goes_with_the_settings_of_relearning_only(settings: Any, match: str) -> None:
    with pytest.raises(InvalidSettingError, match=match):
        gx.GEX(reference=START, **settings)


def test_the_record_names_a_folder_that_is_the_reference() -> None:
    for folder in ("weights", Path("weights")):
        assert settings_of(gx.GEX(reference=folder))["reference"] == "weights"


def test_an_optimizer_by_name_is_that_of_relearned_members_too() -> None:
    model, x, y, _ = problem("clusters")
    for reference in (None, START):
        method = gx.GEX(optimizer="adamw", reference=reference)
        found = method.fit(model, (x, y), progress=False)
        assert found.run.chosen["ensemble"] == "relearning"
        same = gx.Relearning(optimizer="adamw", reference=reference)
        np.testing.assert_array_equal(found.losses, fit(model, x, y, ensemble=same).losses)


def test_with_a_reference_members_of_texts_and_images_step_by_adamw() -> None:
    y = np.arange(60) % 2
    start = MLP.init((4, 8, 2), seed=0)
    text = opened(start, (np.arange(60 * 4).reshape(60, 4) % 9, y), progress=False)
    chosen, why = chosen_ensemble(gx.Geometric(), text, start)
    assert chosen.optimizer == "adamw"
    assert chosen.chains == "auto"
    assert why == "a reference was given; samples have tokens or pixels, so AdamW steps the members"
    flat = opened(MLP.init((12, 8, 2), seed=0), (np.zeros((60, 12)), y), progress=False)
    assert chosen_ensemble(gx.Geometric(), flat, START)[0].optimizer_for(60).name == "sgd"
    # an optimizer that is named is never replaced
    for name in ("sgd", "adamw"):
        for data in (text, flat):
            named, why = chosen_ensemble(gx.Geometric(optimizer=name), data, start)
            assert (named.optimizer, why) == (name, "a reference was given")
