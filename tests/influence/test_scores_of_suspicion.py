"""The scores of suspicion by name: which is the default, what each needs, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.backend.protocols import SupportsLogits
from gexcore.decisions.metrics import average_precision
from gexcore.deviations.table import LossTable
from gexcore.errors import InvalidSettingError
from gexcore.influence import class_odds
from gexcore_numpy import MLP, NumpyBackend

RUN = {"chains": 2, "snapshots": 4, "lr": 0.1, "steps_per_snapshot": 4, "batch_size": 16}


def fit(model: Any, data: Any, **settings: Any) -> gx.LossInfluence:
    return gx.GEX(**{**RUN, "scoring": "evaluated", **settings}).fit(model, data, progress=False)


class Mute(NumpyBackend):
    """Has no logits."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.unsupported |= {SupportsLogits}


def test_classes_are_ranked_by_the_confusion_score(trained: Any) -> None:
    found = fit(trained.model, trained.data)
    assert found.score == found.threshold_on.replace("suspicion", "confusion") == "confusion"
    np.testing.assert_array_equal(found.suspicion(), found.suspicion("confusion"))
    names = ("confusion", "transition", "rival", "clipped_loss")
    scores = {name: found.suspicion(name) for name in names}
    assert len({score.tobytes() for score in scores.values()}) == 4
    np.testing.assert_array_equal(found.suspicion("plain_loss"), found.base_losses)
    np.testing.assert_array_equal(found.suspicion(clip=3.0), scores["clipped_loss"])
    assert found.suspects("otsu").threshold.clip is None
    assert found.record()["score"] == "confusion"
    again = fit(trained.model, trained.data)
    np.testing.assert_array_equal(again.suspicion(), found.suspicion())


def test_the_rival_score_compares_two_probabilities(trained: Any) -> None:
    found = fit(trained.model, trained.data)
    rows, y = np.arange(96), found.labels
    assert y is not None
    logits, kept, _ = found.predictions()
    trained_p = np.exp(logits - logits.max(axis=1, keepdims=True))
    q = 0.9 * kept + 0.1 * trained_p / trained_p.sum(axis=1, keepdims=True)
    p = 0.9 * np.exp(-found.losses).mean(axis=0) + 0.1 * np.exp(-found.base_losses)
    q[rows, y] = 0.0
    q *= ((1 - p) / q.sum(axis=1))[:, None]
    np.testing.assert_allclose(
        found.suspicion("rival"), np.log1p(q.max(axis=1) / p), rtol=1e-6, atol=1e-11
    )


def test_without_logits_losses_alone_decide(trained: Any) -> None:
    found = fit(Mute(trained.model), trained.data)
    with_logits = fit(trained.model, trained.data)
    assert found.score == "confusion"
    assert not np.array_equal(found.suspicion(), with_logits.suspicion())
    p = 0.9 * np.exp(-found.losses).mean(axis=0) + 0.1 * np.exp(-found.base_losses)
    np.testing.assert_allclose(found.suspicion("rival"), -np.log(p), atol=1e-11)


def test_two_classes_do_not_need_logits(trained: Any) -> None:
    x, y = trained.data
    two = MLP(
        [*trained.model.weights[:-1], trained.model.weights[-1][:, :2]],
        [*trained.model.biases[:-1], trained.model.biases[-1][:2]],
    )
    data = x[y < 2], y[y < 2]
    found, mute = fit(two, data), fit(Mute(two), data)
    np.testing.assert_allclose(found.suspicion(), mute.suspicion(), rtol=1e-9)
    np.testing.assert_allclose(
        found.suspicion("transition"), mute.suspicion("transition"), rtol=1e-9
    )
    assert (mute.standard_error() >= 0).all()


def test_more_probabilities_than_fit_into_memory_are_not_made(
    trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_odds, "LARGEST", 96 * 3 - 1)
    found = fit(trained.model, trained.data)
    mute = fit(Mute(trained.model), trained.data)
    np.testing.assert_allclose(found.suspicion(), mute.suspicion())
    assert "_predictions" not in vars(found)


def test_numbers_are_ranked_by_the_errors_of_members_and_of_the_trained_model(
    trained: Any,
) -> None:
    x, _ = trained.data
    weights, noise = np.eye(5)[:, :1], np.random.default_rng(0).normal(size=(96, 1))
    found = gx.GEX(**{**RUN, "lr": 0.01}).fit(
        MLP([weights], [np.zeros(1)]),
        (x, x @ weights + 0.1 * noise),
        loss="squared_error",
        progress=False,
    )
    assert found.score == "both_errors"
    assert len(found.table) >= 8  # no member is missing
    members, base = (
        np.minimum(a.astype(float), found.clip) for a in (found.losses, found.base_losses)
    )
    np.testing.assert_allclose(found.suspicion(), np.sqrt(members).mean(axis=0) + np.sqrt(base))
    assert (found.standard_error() >= 0).all()
    assert found.suspicion().max() <= 2 * np.sqrt(found.clip)
    with pytest.raises(InvalidSettingError, match="score 'transition' needs a loss that is −log"):
        found.suspicion("transition")


def test_a_score_refuses_what_it_has_not(trained: Any) -> None:
    found = fit(trained.model, trained.data)
    with pytest.raises(InvalidSettingError, match="'rival' has no clip; leave clip out, or take"):
        found.suspicion("rival", clip=3.0)
    with pytest.raises(InvalidSettingError, match="score is 'best'; allowed are 'auto', 'conf"):
        found.suspicion("best")  # type: ignore[arg-type]


@pytest.mark.parametrize("score", ["confusion", "transition", "rival"])
def test_the_standard_error_is_that_of_runs_without_a_chain(score: Any) -> None:
    """With the class probabilities of those runs, too: the confusions are not known for certain."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    x = rng.normal(size=(90, 4)) + 3 * np.eye(3, 4)[y]
    model = MLP([4 * np.eye(4, 3)], [np.zeros(3)])
    found = gx.GEX(chains=4, snapshots=4, lr=0.05).fit(model, (x, y), progress=False)
    views = found._views
    without = []
    for chain in range(4):
        rows, kept = views.table.chains != chain, views.members.chains != chain
        table = LossTable(views.table.losses[rows], views.table.base_losses, np.arange(rows.sum()))
        members = replace(
            views.members,
            rows=views.members.rows[kept],
            chains=views.members.chains[kept],
            states=[state for state, k in zip(views.members.states, kept, strict=True) if k],
        )
        without.append(replace(views, table=table, members=members).view(score).scores())
    spread = np.array(without) - np.mean(without, axis=0)
    expected = np.sqrt(3 / 4 * (spread**2).sum(axis=0))
    np.testing.assert_allclose(views.view(score).standard_error(), expected, rtol=1e-6, atol=1e-9)
    known = replace(views.view(score), without=None).standard_error()
    assert not np.allclose(known, expected, rtol=0.01)


def test_relearned_regression_never_forgets_what_the_trained_model_shows() -> None:
    """A model that has not fitted its wrong targets: the plain loss finds them, members do not."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 8))
    y = x @ rng.normal(size=8) + 0.1 * rng.normal(size=300)
    wrong = rng.random(300) < 0.1
    y[wrong] += 4.0 * rng.choice([-1, 1], int(wrong.sum()))
    weights = np.linalg.lstsq(x, y, rcond=None)[0][:, None]
    model = MLP([weights], [np.zeros(1)])
    how: dict[str, Any] = {"loss": "squared_error", "progress": False}
    found = gx.GEX(ensemble=gx.Relearning()).fit(model, (x, y[:, None]), **how)
    assert found.score == "both_losses"
    plain = average_precision(found.suspicion("plain_loss"), wrong)
    assert average_precision(found.suspicion(), wrong) > plain - 0.02
    members = np.minimum(found.losses.astype(float), found.clip)
    mean, base = np.nanmean(members, axis=0), np.minimum(found.base_losses, found.clip)
    wanted = mean / np.median(mean) + base / np.median(base)
    np.testing.assert_allclose(found.suspicion(), wanted)
    assert (found.standard_error() >= 0).all()
    # geometric members remember more, and have the score of errors
    other = gx.GEX(chains=1, snapshots=8, lr=0.01).fit(model, (x, y[:, None]), **how)
    assert other.score == "both_errors"
    assert average_precision(other.suspicion(), wrong) > plain - 0.02
