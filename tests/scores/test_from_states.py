"""Scores of a trained model or of its checkpoints, against arithmetic on one sample at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gexcore.backend.classes import class_scores, softmax
from gexcore.decisions.metrics import auc
from gexcore.evaluation.derivatives import GRADIENT_BUDGET
from gexcore.evaluation.passes import Passes
from gexcore.scores import EL2N, GraNd, Loss, Margin, MeanMemberLoss, sweep
from gexcore.scores.classes import error_norms, margins
from gexcore_numpy import MLP, NumpyBackend


def outputs(model: MLP, x: Any) -> Any:
    for depth, (weight, bias) in enumerate(zip(model.weights, model.biases, strict=True)):
        x = x @ weight + bias
        x = np.maximum(x, 0) if depth < len(model.weights) - 1 else x
    return x


def loss_of(model: MLP, x: Any, label: int) -> float:
    z = outputs(model, x)
    return float(np.log(np.exp(z - z.max()).sum()) + z.max() - z[label])


def test_loss_is_that_of_the_trained_model(history: Any) -> None:
    scores = Loss().fit(history.model, history.data, progress=False)
    expected = [loss_of(history.model, x, y) for x, y in zip(*history.data, strict=True)]
    np.testing.assert_allclose(scores.values, expected, rtol=1e-10)
    assert scores.values.dtype == np.float64
    assert np.array_equal(scores.labels, history.y)
    assert scores.run.passes == Passes(forward=240)
    assert auc(scores.suspicion(), history.wrong) > 0.8


def test_margin_is_that_of_the_given_class(history: Any) -> None:
    scores = Margin().fit(history.model, history.data, progress=False)
    for n in range(0, 240, 17):
        z, label = outputs(history.model, history.x[n]), history.y[n]
        assert scores.values[n] == pytest.approx(z[label] - max(np.delete(z, label)))
    assert np.array_equal(
        scores.values > 0, outputs(history.model, history.x).argmax(axis=1) == history.y
    )
    assert np.array_equal(scores.suspicion(), -scores.values)
    assert auc(scores.suspicion(), history.wrong) > 0.8


def test_mean_member_loss_is_the_mean_over_checkpoints(history: Any) -> None:
    scores = MeanMemberLoss(checkpoints=history.checkpoints).fit(
        history.model, history.data, progress=False
    )
    expected = [
        np.mean([loss_of(c, x, y) for c in history.checkpoints])
        for x, y in zip(*history.data, strict=True)
    ]
    np.testing.assert_allclose(scores.values, expected, rtol=1e-10)
    assert scores.run.passes == Passes(forward=4 * 240)
    assert scores.run.settings == {"checkpoints": "3 items", "recorder": None}


def test_the_trained_model_as_its_only_checkpoint_changes_nothing(history: Any) -> None:
    only = {"checkpoints": [history.model]}
    for with_checkpoint, without in ((MeanMemberLoss(**only), Loss()), (GraNd(**only), GraNd())):
        found = with_checkpoint.fit(history.model, history.data, progress=False)
        np.testing.assert_array_equal(
            found.values, without.fit(history.model, history.data, progress=False).values
        )


@pytest.mark.parametrize("squared", [False, True])
def test_el2n_of_checkpoints_is_the_mean_distance_from_the_label(
    history: Any, squared: bool
) -> None:
    method = EL2N(checkpoints=history.checkpoints, squared=squared)
    scores = method.fit(history.model, history.data, progress=False)
    for n in range(0, 240, 17):
        distances = []
        for checkpoint in history.checkpoints:
            p = np.exp(outputs(checkpoint, history.x[n]))
            distances.append(np.linalg.norm(p / p.sum() - np.eye(3)[history.y[n]]))
        expected = np.mean(np.square(distances)) if squared else np.mean(distances)
        assert scores.values[n] == pytest.approx(expected)
    assert auc(scores.suspicion(), history.wrong) > 0.9


def numerical_gradient_norm(model: MLP, x: Any, label: int) -> float:
    backend = NumpyBackend(model)
    state, h = backend.initial_state(), 1e-6
    theta = backend.ravel(state)
    sample = x[None], np.array([label])
    slopes = []
    for i in range(len(theta)):
        step = np.zeros_like(theta)
        step[i] = h
        ahead, behind = (
            backend.forward(backend.unravel(state, theta + s * step), sample)[0] for s in (1, -1)
        )
        slopes.append((ahead - behind) / (2 * h))
    return float(np.linalg.norm(slopes))


@pytest.mark.parametrize("checkpoints", [0, 2])
def test_grand_is_the_norm_of_the_loss_gradient(history: Any, checkpoints: int) -> None:
    chosen = history.checkpoints[:checkpoints]
    scores = GraNd(checkpoints=chosen).fit(history.model, history.data, progress=False)
    for n in (0, 100, 239):
        states = chosen or [history.model]
        expected = np.mean([numerical_gradient_norm(m, history.x[n], history.y[n]) for m in states])
        assert scores.values[n] == pytest.approx(expected, rel=1e-5)
    assert scores.run.passes == Passes(forward=240, gradient=240 * max(1, checkpoints))


def test_grand_holds_few_gradients_at_once_and_gets_the_same(
    history: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert GRADIENT_BUDGET > 240 * 300
    at_once = GraNd().fit(history.model, history.data, progress=False)
    monkeypatch.setattr(sweep, "GRADIENT_BUDGET", 300 * 7)
    in_parts = GraNd().fit(history.model, history.data, progress=False)
    np.testing.assert_allclose(in_parts.values, at_once.values, rtol=1e-12)


SCORES = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 6), st.integers(2, 5)), elements=st.floats(-50, 50)
)


@given(SCORES, st.data())
def test_distances_from_the_label_are_bounded(scores: Any, data: Any) -> None:
    labels = data.draw(
        hnp.arrays(np.intp, len(scores), elements=st.integers(0, scores.shape[1] - 1))
    )
    norms = error_norms(scores, labels)
    assert ((norms >= 0) & (norms <= np.sqrt(2) + 1e-12)).all()
    assert np.allclose(softmax(scores).sum(axis=1), 1)


@given(SCORES, st.data(), st.floats(-100, 100))
def test_margins_tell_the_prediction_and_ignore_a_common_shift(
    scores: Any, data: Any, shift: float
) -> None:
    labels = data.draw(
        hnp.arrays(np.intp, len(scores), elements=st.integers(0, scores.shape[1] - 1))
    )
    found = margins(scores, labels)
    assert (scores.argmax(axis=1)[found > 0] == labels[found > 0]).all()
    assert (scores.argmax(axis=1)[found < 0] != labels[found < 0]).all()
    np.testing.assert_allclose(
        margins(scores + shift, labels), found, atol=1e-12 * (1 + abs(shift)) + 1e-12
    )
    if scores.shape[1] == 2:
        np.testing.assert_allclose(margins(scores, 1 - labels), -found)


def test_one_output_is_the_score_of_class_1() -> None:
    for shape in ((3,), (3, 1)):
        found = class_scores(np.array([1.0, -2.0, 0.0], np.float32).reshape(shape), 3)
        assert found.tolist() == [[0.0, 1.0], [0.0, -2.0], [0.0, 0.0]]
