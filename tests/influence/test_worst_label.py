"""The score of several labels, on probabilities that are made up."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gexcore.deviations import blocks
from gexcore.deviations.table import LossTable
from gexcore.influence.flagged import flagged
from gexcore.influence.several import TRAINED, WorstLabel, log_odds, table_of_groups
from gexcore.influence.suspicion import Odds
from gexcore.influence.transition import TINY, offsets_by_class

N, LABELS, CHAINS = 90, 3, 4


def made(labels: int = LABELS, *, seed: int = 0) -> tuple[Any, Any, Any]:
    """Probabilities of the given labels by chain and by θ*, and the labels."""
    rng = np.random.default_rng(seed)
    centre = rng.normal(2.0, 2.0, (N, labels))
    groups = 1 / (1 + np.exp(-centre - rng.normal(0.0, 0.5, (CHAINS, N, labels))))
    trained = 1 / (1 + np.exp(-2 * centre))
    return groups, trained, rng.random((N, labels)) < 0.4


def score(groups: Any, trained: Any, labels: Any, **settings: Any) -> WorstLabel:
    return WorstLabel(
        table=table_of_groups(groups, trained, related=False), labels=labels, **settings
    )


def test_the_most_suspicious_label_decides() -> None:
    groups, trained, labels = made()
    found = score(groups, trained, labels)
    np.testing.assert_allclose(found.scores(), found.parts().max(axis=1), rtol=1e-12)
    assert found.scores().shape == (N,)
    mean = groups.mean(axis=0)
    given = (1 - TRAINED) * mean + TRAINED * trained
    for j in range(LABELS):
        odds = (1 - TRAINED) * log_odds(mean[:, j]) + TRAINED * log_odds(trained[:, j])
        odds += offsets_by_class(labels[:, j].astype(int), given[:, j], 2)
        np.testing.assert_allclose(found.parts()[:, j], np.log1p(np.exp(odds)), rtol=1e-9)


def test_the_order_of_labels_and_of_samples_does_not_matter() -> None:
    groups, trained, labels = made()
    found = score(groups, trained, labels).scores()
    columns, rows = np.array([2, 0, 1]), np.random.default_rng(1).permutation(N)
    turned = score(groups[:, :, columns], trained[:, columns], labels[:, columns])
    np.testing.assert_allclose(turned.scores(), found, rtol=1e-12)
    mixed = score(groups[:, rows], trained[rows], labels[rows])
    np.testing.assert_allclose(mixed.scores(), found[rows], rtol=1e-9)


def test_probabilities_of_zero_and_one_have_finite_scores_in_order() -> None:
    p = np.array([[1.0, 1.0], [1.0, 0.5], [0.0, 1.0], [0.0, 0.0]])
    found = score(np.stack([p, p]), p, np.ones((4, 2), bool)).scores()
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert found[0] < found[1] < found[2]
    np.testing.assert_allclose(found[2], found[3])
    assert found.max() < -np.log(TINY) + 10


def test_one_label_has_the_score_of_two_classes() -> None:
    """Where the members and the trained model agree, so that no way to average them matters."""
    _, trained, labels = made(1)
    found = score(np.stack([trained] * 2), trained, labels)
    losses, y = -np.log(trained[:, 0]), labels[:, 0].astype(np.intp)
    losses_of = LossTable(np.stack([losses] * 8), losses, np.arange(8))
    wanted = Odds(losses_of, offsets_by_class(y, trained[:, 0], 2))
    np.testing.assert_allclose(found.scores(), wanted.scores(), rtol=1e-9)


def test_the_standard_error_is_that_of_runs_without_a_chain() -> None:
    groups, trained, labels = made()
    found = score(groups, trained, labels)
    without = np.array(
        [score(np.delete(groups, i, axis=0), trained, labels).scores() for i in range(CHAINS)]
    )
    spread = without - without.mean(axis=0)
    expected = np.sqrt((CHAINS - 1) / CHAINS * (spread**2).sum(axis=0))
    np.testing.assert_allclose(found.standard_error(), expected, rtol=1e-9)


def test_reliability_tells_equal_chains_from_noise() -> None:
    groups, trained, labels = made()
    assert score(np.stack([groups[0]] * 4), trained, labels).reliability() > 0.999
    noise = np.random.default_rng(2).random(groups.shape)
    assert score(noise, np.full_like(trained, 0.5), labels).reliability() < 0.4


def test_blocks_of_any_size_give_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    found = score(*made())
    whole = found.scores(), found.standard_error(), found.agreement_above(1.0)
    monkeypatch.setattr(blocks, "CACHED", CHAINS * LABELS * 7)
    again = replace(found)
    assert len(list(again._slices())) == 13
    for one, other in zip(whole, (again.scores(), again.standard_error()), strict=False):
        np.testing.assert_array_equal(one, other)
    assert again.agreement_above(1.0) == whole[2]


def test_missing_members_leave_their_place_to_the_trained_model() -> None:
    groups, trained, labels = made()
    alone = score(groups, trained, labels, share=1.0)
    same = score(np.stack([trained] * CHAINS), trained, labels)
    np.testing.assert_allclose(alone.scores(), same.scores(), rtol=1e-9)


def test_labels_that_are_never_given_do_not_break_the_score() -> None:
    groups, trained, labels = made()
    labels[:, 0] = False
    assert np.isfinite(score(groups, trained, labels).scores()).all()


def test_probabilities_that_do_not_know_the_labels_find_nothing() -> None:
    """The negative control: the same probabilities, given to other samples."""
    rng = np.random.default_rng(0)
    p = np.clip(rng.normal(0.9, 0.05, (2000, LABELS)), 0.01, 0.999)
    wrong = rng.random(2000) < 0.1
    p[wrong, 0] = rng.uniform(0.01, 0.4, int(wrong.sum()))

    def share_of_wrong(p: NDArray[np.float64]) -> float:
        found = score(np.stack([p, p]), p, np.ones(p.shape, bool)).scores()
        first = np.argsort(-found)[: int(wrong.sum())]
        return float(wrong[first].mean())

    assert share_of_wrong(p) > 0.95
    assert share_of_wrong(p[rng.permutation(2000)]) < 0.2


@pytest.mark.parametrize(("odds", "found"), [(-4.0, False), (1.0, True)])
def test_a_threshold_among_labels_that_are_nearly_sure_is_refused(odds: float, found: bool) -> None:
    """A second mode of higher odds is not one of wrong labels if the odds are low."""
    rng = np.random.default_rng(0)
    centre = np.where(rng.random((2000, 1)) < 0.1, odds, -9.0) + rng.normal(0.0, 0.3, (2000, 1))
    p = 1 / (1 + np.exp(np.concatenate([centre, np.full((2000, 1), -12.0)], axis=1)))
    groups = np.stack([p] * 8)
    view = score(groups, p, rng.random(p.shape) < 0.5)
    views = SimpleNamespace(
        table=view.table, labels=None, default="worst_label", threshold_clip=None,
        for_thresholds=view, view=lambda: view,
    )  # fmt: skip
    suspects = flagged(views)  # type: ignore[arg-type]
    if found:
        assert 150 < len(suspects.indices) < 250
    else:
        assert len(suspects.indices) == 0
        assert "a label that is wrong with a probability below" in suspects.threshold.reason
