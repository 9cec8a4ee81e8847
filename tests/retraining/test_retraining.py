"""The measure of influence: trainings on parts of the data, as values that can be resumed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.errors import (
    InvalidDataError,
    InvalidModelError,
    InvalidSettingError,
    StoreMismatchError,
)
from gexcore.retraining import Outcomes, brittleness, lds, retrain_on
from gexcore_numpy import MLP, NumpyBackend

RNG = np.random.default_rng(3)
X = np.concatenate([RNG.normal(c, 1.5, (30, 3)) for c in (-1.0, 1.0)])
Y = np.repeat([0, 1], 30)
TEST = RNG.normal(0.0, 2.0, (8, 3)), np.arange(8) % 2


def train(data: Any, seed: int) -> MLP:
    """Logistic regression with a penalty: one answer for each set of samples."""
    backend = NumpyBackend(
        MLP.init((3, 2), seed=seed), optimizer=gx.Optimizer(momentum=0.0, weight_decay=0.01)
    )
    state = backend.initial_state()
    for _ in range(150):
        state = backend.sgd_step(state, data, lr=0.5, seed=0)
    return backend.to_model(state)


HOW: dict[str, Any] = {"train": train, "data": (X, Y), "test": TEST, "progress": False}


@pytest.fixture(scope="module")
def outcomes() -> Outcomes:
    return Outcomes.of_subsets(**HOW, subsets=30, seeds=2)


def test_a_convex_model_is_predicted_and_a_wrong_sign_is_not(outcomes: Outcomes) -> None:
    model = train((X, Y), 0)
    exact = gx.IF(damping=0.01).fit(model, (X, Y), test=TEST, progress=False)
    ridge = gx.GEXRidge(budget=100).fit(model, (X, Y), test=TEST, progress=False)
    assert lds(exact, outcomes).mean > 0.8
    found = lds(ridge, outcomes)
    assert found.mean > 0.7
    assert found.ceiling > 0.95
    assert 0 < found.standard_error < 0.2
    assert lds(-ridge.influence(), outcomes).mean == pytest.approx(-found.mean)
    shuffled = np.random.default_rng(0).permutation(ridge.influence(), axis=1)
    assert abs(lds(shuffled, outcomes).mean) < 0.3


def test_proponents_matter_more_than_random_samples() -> None:
    model = train((X, Y), 0)
    exact = gx.IF(damping=0.01).fit(model, (X, Y), test=TEST, progress=False)
    found = brittleness(exact, **HOW, k=15, tests=6, seeds=1)
    assert found.drop > found.random_drop + 2 * found.standard_error
    assert 0 <= found.flipped <= 1
    against = brittleness(-exact.influence(), **HOW, k=15, tests=6, seeds=1)
    assert against.drop < 0 < found.drop


def test_stopped_trainings_are_resumed_and_executors_agree(
    tmp_path: Path, outcomes: Outcomes
) -> None:
    calls: list[int] = []

    def stops(data: Any, seed: int) -> MLP:
        calls.append(seed)
        if len(calls) == 20:
            raise KeyboardInterrupt
        return train(data, seed)

    how = {**HOW, "subsets": 30, "seeds": 2, "store": tmp_path / "run"}
    with pytest.raises(KeyboardInterrupt):
        Outcomes.of_subsets(**{**how, "train": stops})
    resumed = Outcomes.of_subsets(**{**how, "train": stops})
    assert len(calls) == 61  # 60 trainings and the one that was stopped
    np.testing.assert_array_equal(resumed.outputs, outcomes.outputs)
    with ThreadPoolExecutor(2) as pool:
        spread = Outcomes.of_subsets(**HOW, subsets=30, seeds=2, executor=pool)
    np.testing.assert_array_equal(spread.outputs, outcomes.outputs)
    with pytest.raises(StoreMismatchError, match="other parts"):
        Outcomes.of_subsets(**how, share=0.4)


def ignores(data: Any, seed: int) -> MLP:
    return train((X, Y), seed)


def fails(data: Any, seed: int) -> MLP:
    raise ValueError("no learning rate")


@pytest.mark.parametrize(
    ("settings", "error", "told"),
    [
        ({"train": ignores}, InvalidModelError, "equal models for 2 different parts"),
        ({"train": fails}, InvalidModelError, "no learning rate"),
        ({"share": 1.0}, InvalidSettingError, "60 of 60 samples"),
        ({"share": 1.5}, InvalidSettingError, "90 of 60 samples"),
        ({"share": 0.001}, InvalidSettingError, "0 of 60 samples"),
        ({"subsets": 2}, InvalidSettingError, "subsets is 2"),
        ({"seeds": 0}, InvalidSettingError, "seeds is 0"),
    ],
)
def test_what_cannot_be_measured_is_refused(settings: Any, error: Any, told: str) -> None:
    with pytest.raises(error, match=told):
        lds(np.zeros((8, 60)), **{**HOW, "subsets": 4, "seeds": 1, **settings})


def test_wrong_shapes_and_positions_are_refused(outcomes: Outcomes) -> None:
    with pytest.raises(InvalidDataError, match=r"shape \(8, 59\)"):
        lds(np.zeros((8, 59)), outcomes)
    with pytest.raises(InvalidDataError, match="finite numbers"):
        lds(np.full((8, 60), np.nan), outcomes)
    with pytest.raises(InvalidSettingError, match="give outcomes or what to train"):
        lds(np.zeros((8, 60)), outcomes, train=train)
    with pytest.raises(InvalidSettingError, match="positions from 0 to 59"):
        retrain_on([np.array([60])], **HOW)
    with pytest.raises(InvalidSettingError, match="k is 60"):
        brittleness(np.zeros((8, 60)), **HOW, k=60)


@pytest.mark.parametrize("shape", [(8, 59), (8, 70), (9, 60)])
def test_brittleness_refuses_influence_of_other_samples(shape: tuple[int, int]) -> None:
    with pytest.raises(InvalidDataError, match="give the same samples to both"):
        brittleness(np.zeros(shape), k=3, seeds=1, **HOW)


@pytest.mark.parametrize(
    "other", [{"data": (X, 1 - Y)}, {"data": (X + 1, Y)}, {"test": (TEST[0] + 1, TEST[1])}]
)
def test_a_folder_of_trainings_on_other_data_is_refused(tmp_path: Path, other: Any) -> None:
    parts = [np.arange(0, 60, 2), np.arange(1, 60, 2)]
    first = retrain_on(parts, seeds=1, store=tmp_path, **HOW)
    np.testing.assert_array_equal(retrain_on(parts, seeds=1, store=tmp_path, **HOW), first)
    with pytest.raises(StoreMismatchError, match="other data"):
        retrain_on(parts, seeds=1, store=tmp_path, **HOW | other)


@pytest.mark.parametrize("threads", [None, 2])
def test_a_training_that_ignores_its_data_later_is_refused(threads: int | None) -> None:
    calls: list[int] = []

    def tires(data: Any, seed: int) -> MLP:
        calls.append(seed)
        return train(data if len(calls) < 5 else (X, Y), seed)

    with ThreadPoolExecutor(threads or 1) as pool:
        executor = pool if threads else None
        with pytest.raises(InvalidModelError, match="equal models for 3 different parts"):
            Outcomes.of_subsets(**{**HOW, "train": tires}, subsets=9, seeds=1, executor=executor)
    assert len(calls) >= 7


def test_equal_models_for_two_later_parts_are_no_fault() -> None:
    twice = [np.arange(40), np.arange(20, 60), np.arange(10, 50)]

    def forgets(data: Any, seed: int) -> MLP:
        return train((data[0][:30], data[1][:30]) if len(data[1]) == 39 else data, seed)

    parts = [*twice, np.delete(np.arange(40), 35), np.delete(np.arange(40), 36)]
    found = retrain_on(parts, **{**HOW, "train": forgets}, seeds=1)
    np.testing.assert_array_equal(found[0, 3], found[0, 4])


def test_labels_may_be_words() -> None:
    words = np.array(["no", "yes"])

    def reads(data: Any, seed: int) -> MLP:
        assert set(data[1]) <= {"no", "yes"}
        return train((data[0], (data[1] == "yes").astype(int)), seed)

    how = {"subsets": 3, "seeds": 1}
    given = {"data": (X, words[Y]), "test": (TEST[0], words[TEST[1]])}
    found = Outcomes.of_subsets(**{**HOW, "train": reads, **given}, **how)
    np.testing.assert_array_equal(found.outputs, Outcomes.of_subsets(**HOW, **how).outputs)
