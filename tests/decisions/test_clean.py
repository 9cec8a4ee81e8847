"""Cleaned training sets: what changes, what does not, and that one can train on them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import gexcore as gx
from gexcore.backend.protocols import SupportsLogits
from gexcore.decisions.clean import METHODS, RELABELLINGS, Predictions, clean
from gexcore.decisions.relabel import relabel_complementary, relabel_eq16
from gexcore.errors import InvalidDataError, InvalidSettingError, MissingCapabilityError
from gexcore_numpy import MLP, NumpyBackend


class Drawn(NamedTuple):
    labels: NDArray[np.int64]
    suspects: NDArray[np.int64]
    predictions: Predictions


def draw(
    seed: int, n: int = 12, classes: int = 4, share: float = 0.4, *, suggests: bool = False
) -> Drawn:
    rng = np.random.default_rng(seed)
    labels, suspects = rng.integers(0, classes, n), rng.permutation(n)[: round(share * n)]
    p = rng.dirichlet(np.ones(classes), len(suspects))
    logits = 3 * rng.normal(size=p.shape)
    other = (labels[suspects] + rng.integers(1, classes, len(suspects))) % classes
    return Drawn(labels, suspects, Predictions(logits, p, other if suggests else None))


@settings(derandomize=True, database=None, deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 12), method=st.sampled_from(RELABELLINGS[1:]))
def test_only_suspects_change(seed: int, n: int, method: Any) -> None:
    labels, suspects, predictions = drawn = draw(seed, n)
    before = labels.copy(), suspects.copy()
    cleaned = clean(*drawn[:2], method, drawn.predictions)
    assert cleaned.method == method
    np.testing.assert_array_equal(cleaned.indices, np.arange(n))
    others = np.setdiff1d(np.arange(n), suspects)
    if method in ("argmax", "other"):
        p = predictions.probabilities.copy()
        if method == "other":
            p[np.arange(len(p)), labels[suspects]] = -1
        np.testing.assert_array_equal(cleaned.targets[others], labels[others])
        np.testing.assert_array_equal(cleaned.targets[suspects], p.argmax(axis=1))
        np.testing.assert_array_equal(cleaned.changed, np.flatnonzero(cleaned.targets != labels))
        np.testing.assert_array_equal(cleaned.weights, np.ones(n))
    else:
        rows = {
            "eq16": relabel_eq16(predictions.logits, labels[suspects]),
            "complementary": relabel_complementary(predictions.logits, labels[suspects]),
            "distill": predictions.probabilities,
        }[method]
        np.testing.assert_array_equal(cleaned.targets[others], np.eye(4)[labels[others]])
        np.testing.assert_allclose(cleaned.targets[suspects], rows)
        np.testing.assert_array_equal(cleaned.changed, np.sort(suspects))
        np.testing.assert_allclose(cleaned.weights, cleaned.targets.sum(axis=1))
    np.testing.assert_array_equal(labels, before[0])
    np.testing.assert_array_equal(suspects, before[1])


@settings(derandomize=True, database=None, deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 30))
def test_where_the_members_know_no_better_class_a_suspect_is_left_out(seed: int, n: int) -> None:
    labels, suspects, predictions = draw(seed, n)
    best = predictions.probabilities.argmax(axis=1)
    confirmed = suspects[best == labels[suspects]]
    kept = np.setdiff1d(np.arange(n), confirmed)
    if set(labels) != set(labels[kept]):
        with pytest.raises(
            InvalidSettingError, match="a class must not vanish; relabel by another method"
        ):
            clean(labels, suspects, "argmax_or_drop", predictions)
        return
    cleaned = clean(labels, suspects, "argmax_or_drop", predictions)
    argmax = clean(labels, suspects, "argmax", predictions)
    np.testing.assert_array_equal(cleaned.indices, kept)
    np.testing.assert_array_equal(cleaned.targets, argmax.targets[kept])
    np.testing.assert_array_equal(cleaned.changed, np.sort(suspects))


@settings(derandomize=True, database=None, deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 30))
def test_the_suggested_label_is_written_and_the_members_say_who_keeps_his(
    seed: int, n: int
) -> None:
    labels, suspects, predictions = draw(seed, n, suggests=True)
    assert predictions.suggested is not None
    confirmed = predictions.probabilities.argmax(axis=1) == labels[suspects]
    argmax = clean(labels, suspects, "argmax", predictions)
    np.testing.assert_array_equal(
        argmax.targets[suspects], np.where(confirmed, labels[suspects], predictions.suggested)
    )
    other = clean(labels, suspects, "other", predictions)
    np.testing.assert_array_equal(other.targets[suspects], predictions.suggested)
    for soft in ("eq16", "distill", "complementary"):
        plain = clean(labels, suspects, soft, predictions._replace(suggested=None))
        np.testing.assert_array_equal(
            clean(labels, suspects, soft, predictions).targets, plain.targets
        )


def test_a_suggestion_of_the_given_label_is_none() -> None:
    labels, suspects, predictions = draw(0)
    for wrong in (labels[suspects], np.zeros(3, int), np.full(len(suspects), 7)):
        with pytest.raises(InvalidDataError):
            clean(labels, suspects, "argmax", predictions._replace(suggested=wrong))


def test_dropping_leaves_the_suspects_out() -> None:
    cleaned = clean(np.array([0, 1, 1, 0, 1]), [4, 0], "drop")
    assert cleaned.indices.tolist() == [1, 2, 3]
    assert cleaned.targets.tolist() == [1, 1, 0]
    assert cleaned.changed.tolist() == [0, 4]
    assert (len(cleaned), repr(cleaned)) == (
        3,
        "<Cleaned by drop: 3 samples kept, 2 changed or left out; classes>",
    )
    with pytest.raises(
        InvalidSettingError,
        match=r"no sample of class 0 would be left \(2 of 2 removed\), .* relabel",
    ):
        clean(np.array([0, 1, 1, 0, 1]), [3, 0], "drop")


@pytest.mark.parametrize("method", METHODS)
def test_without_suspects_nothing_changes(method: Any) -> None:
    cleaned = clean(
        np.array([0, 1, 2]), [], method, Predictions(np.empty((0, 3)), np.empty((0, 3)))
    )
    assert len(cleaned.changed) == 0
    assert (
        cleaned.targets if cleaned.targets.ndim == 1 else cleaned.targets.argmax(axis=1)
    ).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        (
            {"method": "guess"},
            InvalidSettingError,
            "no relabelling named 'guess'; allowed are argmax_or_drop, argmax, other, eq16",
        ),
        (
            {"predictions": None},
            InvalidDataError,
            "argmax needs predictions for the 5 suspects, and got none",
        ),
        (
            {"suspects": [1, 2]},
            InvalidDataError,
            "argmax needs predictions for the 2 suspects, and got 5 rows",
        ),
        ({"suspects": [1, 1]}, InvalidDataError, "these are not distinct positions"),
        ({"suspects": [0.5]}, InvalidDataError, "these are not distinct positions"),
        ({"suspects": [12]}, InvalidDataError, "position 12 is outside 0 … 11"),
        ({"suspects": [-1]}, InvalidDataError, "position -1 is outside 0 … 11"),
        (
            {"labels": np.full(12, 4)},
            InvalidDataError,
            "label 4 is outside 0 … 3, the 4 classes there are",
        ),
        (
            {"labels": np.linspace(0, 1, 12)},
            InvalidDataError,
            "labels are of shape .* and type float64",
        ),
    ],
)
def test_what_does_not_fit_together(change: Any, error: type, told: str) -> None:
    with pytest.raises(error, match=told):
        clean(**{**draw(0)._asdict(), "method": "argmax", **change})


@pytest.mark.parametrize("method", ["eq16", "distill", "complementary"])
def test_a_step_on_soft_targets_follows_their_cross_entropy(method: Any) -> None:
    labels, suspects, predictions = draw(3)
    targets = clean(labels, suspects, method, predictions).targets
    x = np.random.default_rng(0).normal(size=(12, 5))
    model = MLP.init((5, 4), seed=0)
    backend = NumpyBackend(model)
    after = backend.to_model(
        backend.sgd_step(backend.initial_state(), (x, targets), lr=1.0, seed=0)
    )
    p = np.exp(x @ model.weights[0])
    p /= p.sum(axis=1, keepdims=True)
    gradient = x.T @ (p * targets.sum(axis=1, keepdims=True) - targets) / 12
    np.testing.assert_allclose(after.weights[0], model.weights[0] - gradient)


class Fitted(NamedTuple):
    influence: gx.Influence
    model: MLP
    x: NDArray[np.float64]
    given: NDArray[np.int64]
    wrong: NDArray[np.bool_]


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    """Three classes far apart, one label in ten wrong, a model that has not memorised them."""
    rng = np.random.default_rng(0)
    true, wrong = np.arange(300) % 3, np.arange(300) % 10 == 4
    x = np.array([[-4.0, -4.0], [4.0, -4.0], [0.0, 4.0]])[true] + rng.normal(size=(300, 2))
    given = np.where(wrong, (true + 1) % 3, true)
    model = MLP([np.array([[-1.0, 1.0, 0.0], [-1.0, -1.0, 2.0]])], [np.zeros(3)])
    influence = gx.GEX(chains=2, snapshots=4, lr=0.01).fit(model, (x, given), progress=False)
    return Fitted(influence, model, x, given, wrong)


def test_a_fit_relabels_its_suspects(fitted: Fitted) -> None:
    influence, model, x, given, wrong = fitted
    suspects = influence.suspects()
    assert set(np.flatnonzero(wrong)) <= set(suspects.indices)
    argmax = influence.relabel()
    assert isinstance(argmax, gx.Cleaned)
    assert argmax.method == "argmax_or_drop"
    np.testing.assert_array_equal(argmax.changed, np.flatnonzero(wrong))
    np.testing.assert_array_equal(argmax.targets, np.arange(300) % 3)
    np.testing.assert_array_equal(influence.relabel("drop").changed, np.sort(suspects.indices))
    eq16 = influence.relabel("eq16", indices=np.flatnonzero(wrong))
    np.testing.assert_allclose(
        eq16.targets[wrong], relabel_eq16(x[wrong] @ model.weights[0], given[wrong])
    )
    distill = influence.relabel("distill", indices=[4])
    np.testing.assert_allclose(distill.targets[4], influence.predictions().probabilities[4])


def test_the_threshold_says_what_it_cuts(fitted: Fitted) -> None:
    influence = fitted.influence
    for method in ("auto", "valley", "otsu", "mixture"):
        found, threshold = influence.suspects(method)
        if threshold.value is not None:
            above = influence.suspicion(clip=threshold.clip) > threshold.value
            np.testing.assert_array_equal(np.sort(found), np.flatnonzero(above))
            assert (np.diff(influence.suspicion()[found]) <= 0).all()
    assert len(influence.suspects("known_rate", rate=0.1).indices) == 30
    assert len(influence.suspects("quantile", rate=0.2).indices) == 60
    rate = influence.noise_rate()
    assert rate.low <= 0.1 <= rate.high


def test_a_refused_threshold_relabels_nothing_without_indices(fitted: Fitted) -> None:
    few = gx.GEX(chains=1, snapshots=2, lr=0.01).fit(
        fitted.model, (fitted.x[:30], fitted.given[:30]), progress=False
    )
    with pytest.raises(
        InvalidSettingError,
        match=r"no threshold: 30 scores are too few .*; review the first of ranking",
    ):
        few.relabel()
    assert few.relabel("drop", indices=[4]).changed.tolist() == [4]
    assert np.isnan(few.noise_rate()).all()
    with pytest.raises(InvalidSettingError, match="no relabelling named 'guess'"):
        few.relabel("guess", indices=[4])  # type: ignore[arg-type]


def test_a_backend_without_logits_can_only_drop(fitted: Fitted) -> None:
    class Mute(NumpyBackend):
        def __init__(self, model: Any) -> None:
            super().__init__(model)
            self.unsupported |= {SupportsLogits}

    run = gx.GEX(chains=1, snapshots=2, lr=0.01)
    mute = run.fit(Mute(fitted.model), (fitted.x, fitted.given), progress=False)
    assert len(mute.relabel("drop", indices=[4])) == 299
    with pytest.raises(MissingCapabilityError, match="SupportsLogits"):
        mute.relabel("argmax", indices=[4])


def test_a_regression_has_nothing_to_relabel(fitted: Fitted) -> None:
    model = MLP([np.eye(2)], [np.zeros(2)])
    run = gx.GEX(chains=1, snapshots=2, lr=0.001)
    found = run.fit(model, (fitted.x, fitted.x + 0.1), loss="squared_error", progress=False)
    with pytest.raises(InvalidDataError, match="relabelling needs one class per sample"):
        found.relabel("drop", indices=[0])


def test_one_score_is_that_of_class_one(fitted: Fitted) -> None:
    class Binary(NumpyBackend):
        def logits(self, state: Any, batch: Any, /) -> Any:
            scores = super().logits(state, batch)
            return scores[:, 1:] - scores[:, :1]

    x, two = fitted.x[:, :1], MLP([np.array([[-1.0, 1.0]])], [np.zeros(2)])
    data = (x, (x[:, 0] > 0).astype(int))
    run = gx.GEX(chains=1, snapshots=2, lr=0.01)
    plain, single = (
        run.fit(backend(two), data, progress=False) for backend in (NumpyBackend, Binary)
    )
    np.testing.assert_allclose(
        single.predictions().probabilities, plain.predictions().probabilities
    )
    np.testing.assert_array_equal(single.suggested_labels(), 1 - data[1])
