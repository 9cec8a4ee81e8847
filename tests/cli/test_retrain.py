"""`gexcore retrain`: test accuracy before and after, by the user's own recipe."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from gexcore.decisions.clean import Cleaned
from gexcore.decisions.retrain import GIVEN, accuracy, retrain
from gexcore.errors import InvalidDataError, InvalidModelError, InvalidSettingError
from gexcore_numpy import MLP

RECIPE = """
import numpy as np
from gexcore_numpy import MLP, NumpyBackend

def train(x, y, *, seed):
    backend = NumpyBackend(MLP.init((2, 3), seed=seed))
    state = backend.initial_state()
    for _ in range(60):
        state = backend.sgd_step(state, (x, y), lr=0.1, seed=0)
    return backend.to_model(state)

def hard(x, y, *, seed):
    if y.ndim > 1:
        raise ValueError("one label per sample, please\\nwith details")
    return train(x, y, seed=seed)
"""
MODEL = MLP([np.array([[-1.0, 1.0, 0.0], [-1.0, -1.0, 2.0]])], [np.zeros(3)])


@pytest.fixture
def project(cleanable, three):
    (cleanable / "recipe.py").write_text(RECIPE)
    np.savez("test.npz", x=three.x, y=three.true)
    return cleanable


def test_the_table_has_every_treatment(project, run):
    outcome = run("retrain", "recipe.py:train", "audit", "--test", "test.npz", "--seeds", "2")
    assert (outcome.code, outcome.err) == (0, "")
    lines, table = outcome.out.split("\n\n")
    assert len(lines.splitlines()) == 2 * 6
    rows = re.findall(
        r"^(\S.*?)  +(\d+) +(\d+\.\d+)% ± (\d+\.\d+)% +([+-]\d+\.\d+)$", table, re.MULTILINE
    )
    assert [row[0] for row in rows] == [GIVEN, "drop", "argmax_or_drop", "argmax", "eq16", "prune"]
    samples = {row[0]: int(row[1]) for row in rows}
    assert (samples[GIVEN], samples["argmax"], samples["prune"]) == (300, 300, 240)
    assert samples["drop"] < 300
    found = {row[0]: float(row[2]) for row in rows}
    assert found["argmax"] >= found[GIVEN]
    for row in rows:
        told = re.findall(rf"^{row[0]}, seed \d: (\S+)% of the test data$", lines, re.MULTILINE)
        assert np.mean([float(value) for value in told]) == pytest.approx(float(row[2]), abs=0.01)
        assert float(row[4]) == pytest.approx(float(row[2]) - found[GIVEN], abs=0.011)


def test_treatments_can_be_chosen(project, run):
    outcome = run(
        "retrain",
        "recipe.py:hard",
        "audit",
        "--test",
        "test.npz",
        "--seeds",
        "1",
        "--with",
        "drop,prune",
        "--keep",
        "0.5",
    )
    assert outcome.code == 0
    assert [line.split(",")[0] for line in outcome.out.splitlines()[:3]] == [GIVEN, "drop", "prune"]
    assert "prune              150" in outcome.out


def test_a_recipe_that_fails_is_one_sentence_after_what_was_found(project, run):
    outcome = run(
        "retrain", "recipe.py:hard", "audit", "--test", "test.npz", "--with", "argmax,eq16"
    )
    assert outcome.code == 2
    assert [line.split(":")[0] for line in outcome.out.splitlines()] == [
        "as given, seed 0",
        "argmax, seed 0",
    ]
    assert outcome.err == (
        "gexcore: train failed on 'eq16' with seed 0 (ValueError: one label per sample, please); "
        "it is called as train(x, y, seed=0), y being one row of soft targets per sample\n"
    )


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("recipe.py", "audit", "--test", "test.npz"),
            "RECIPE is 'recipe.py'; it must be file.py:callable"),
        (("none.py:train", "audit", "--test", "test.npz"),
            "none.py does not exist; it must be file.py:callable"),
        (("recipe.py:fit", "audit", "--test", "test.npz"), "recipe.py has no fit; it must be"),
        (("recipe.py:train", "audit"), "the following arguments are required: --test"),
        (("recipe.py:train", "audit", "--test", "none.npz"), "none.npz does not exist"),
        (("recipe.py:train", "nowhere", "--test", "test.npz"), "nowhere has no scores.csv"),
        (("recipe.py:train", "audit", "--test", "test.npz", "--with", "drop,guess"),
            "--with guess is no treatment; allowed are argmax_or_drop, argmax, other"),
        (("recipe.py:train", "audit", "--test", "test.npz", "--seeds", "0"),
            "seeds is 0, and must be at least 1"),
        (("recipe.py:train", "audit", "--test", "test.npz", "--keep", "0"),
            "keep is 0.0, and must be a share above 0"),
        (("recipe.py:train", "audit", "--test", "test.npz", "--rate", "2"), "--rate is 2.0"),
    ],
)  # fmt: skip
def test_arguments(project, run, args, told):
    outcome = run("retrain", *args)
    assert (outcome.code, outcome.out) == (2, "")
    assert told in outcome.err
    assert outcome.err.count("\n") == 1


def test_versions_of_the_data_reach_the_recipe(three):
    seen = []

    def train(x, y, *, seed):
        seen.append((seed, len(x), y.tolist()))
        return MODEL

    names = np.array([10, 20, 30])[three.given]
    treatments = {
        "two": Cleaned(np.array([3, 4]), three.given[[3, 4]], np.arange(2), "drop"),
        "soft": Cleaned(np.array([0]), np.array([[0.0, 0.5, 0.25]]), np.array([0]), "eq16"),
    }
    test = (three.x, three.true)
    trials = list(retrain(train, (three.x, names), treatments, test, labels=three.given, seeds=2))
    assert [trial[:3] for trial in trials] == [
        (name, seed, n) for seed in (0, 1) for name, n in ((GIVEN, 300), ("two", 2), ("soft", 1))
    ]
    assert [trial.accuracy for trial in trials] == pytest.approx([accuracy(MODEL, test)] * 6)
    assert seen[:3] == [
        (0, 300, names.tolist()),
        (0, 2, names[[3, 4]].tolist()),
        (0, 1, [[0.0, 0.5, 0.25]]),
    ]


def test_accuracy_is_the_share_of_right_predictions(three):
    predicted = (three.x @ MODEL.weights[0]).argmax(axis=1)
    for labels in (three.true, three.given):
        assert accuracy(MODEL, (three.x, labels), batch_size=64) == (predicted == labels).mean()
    with pytest.raises(InvalidDataError, match="the test data has no integer labels"):
        accuracy(MODEL, (three.x, np.eye(3)[three.true]))


def test_what_cannot_be_retrained(three):
    data = (three.x, three.given)
    with pytest.raises(InvalidSettingError, match="seeds is 0"):
        list(retrain(lambda x, y, *, seed: MODEL, data, {}, data, seeds=0))
    with pytest.raises(
        InvalidModelError, match=r"train failed on 'as given' with seed 0 \(TypeError"
    ):
        list(retrain(lambda x, y: MODEL, data, {}, data))
    with pytest.raises(InvalidModelError, match=r"no backend takes a model of type builtins\.int"):
        list(retrain(lambda x, y, *, seed: 3, data, {}, data))


def test_trials_as_json(project, run):
    args = ("--test", "test.npz", "--seeds", "1", "--with", "drop", "--json")
    told = json.loads(run("retrain", "recipe.py:train", "audit", *args).out)["trials"]
    assert [(trial["treatment"], trial["seed"]) for trial in told][1:] == [("drop", 0)]
    assert all(0 <= trial["accuracy"] <= 1 for trial in told)
