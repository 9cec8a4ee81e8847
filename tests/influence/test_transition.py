"""The transition and rival scores: their formulas, their laws, and what they find."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gexcore.decisions.metrics import average_precision
from gexcore.deviations.table import LossTable
from gexcore.influence.rival import rival_offsets
from gexcore.influence.suspicion import ClippedLoss, Odds, PlainLoss
from gexcore.influence.transition import (
    PRIOR,
    TINY,
    likely_other,
    offsets_by_class,
    transition_matrix,
    transition_offsets,
    with_given,
)

Floats = NDArray[np.float64]
laws = settings(derandomize=True, database=None, deadline=None, max_examples=40)


def problem(seed: int, *, n: int = 60, k: int = 4) -> tuple[NDArray[np.intp], Floats]:
    """Labels of every class, and class probabilities."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    q = rng.dirichlet(np.full(k, 0.5), n)
    q[np.arange(n), labels] += rng.integers(0, 3, n)
    return labels, with_given(labels, (q / q.sum(axis=1, keepdims=True))[np.arange(n), labels], q)


def odds(labels: NDArray[np.intp], q: Floats) -> Floats:
    """Log odds of a wrong label."""
    p = q[np.arange(len(labels)), labels]
    offsets = transition_offsets(labels, q, transition_matrix(labels, q))
    return np.asarray(np.log1p(-p) - np.log(p) + offsets)


def one_way(*, seed: int = 0, noise: float = 0.3) -> tuple[NDArray[np.intp], Floats, NDArray[Any]]:
    """Class 0 is taken for class 1, which members half believe. Class 2 has hard samples."""
    rng = np.random.default_rng(seed)
    true = np.repeat(np.arange(4), 100)
    labels = true.copy()
    moved = rng.choice(100, round(100 * noise), replace=False)
    labels[moved] = 1
    q = np.full((400, 4), 0.02)
    q[np.arange(400), true] = 0.7 + 0.1 * rng.random(400)
    q[labels != true, 1] = 0.2
    hard = (true == 2) & (rng.random(400) < 0.15)
    q[hard, 2] = 0.1
    q[hard, rng.choice([0, 1, 3], hard.sum())] += 0.6
    return labels, q / q.sum(axis=1, keepdims=True), labels != true


def test_the_formula_is_that_of_the_documentation() -> None:
    labels, q = problem(0)
    n, k = q.shape
    t = [np.mean([q[i, c] for i in range(n) if labels[i] == c]) for c in range(k)]
    counts = np.zeros((k, k))
    for i in range(n):
        counts[max(range(k), key=lambda c: q[i, c] / t[c]), labels[i]] += 1
    rate = min(max(1 - np.trace(counts) / n, 0.01), 0.5)
    matrix = np.array(
        [
            [
                (counts[a, b] + PRIOR * k * (1 - rate if a == b else rate / (k - 1)))
                / (counts[a].sum() + PRIOR * k)
                for b in range(k)
            ]
            for a in range(k)
        ]
    )
    np.testing.assert_allclose(transition_matrix(labels, q), matrix)
    right = np.mean(np.diag(matrix))
    for i, y in enumerate(labels):
        wrong = sum(q[i, c] * matrix[c, y] * (k - 1) / (1 - right) for c in range(k) if c != y)
        wanted = math.log(wrong / (q[i, y] * matrix[y, y] / right))
        assert odds(labels, q)[i] == pytest.approx(wanted)


@laws
@given(seed=st.integers(0, 10**6))
def test_the_order_of_samples_and_the_names_of_classes_do_not_matter(seed: int) -> None:
    labels, q = problem(seed)
    rng = np.random.default_rng(seed)
    order, names = rng.permutation(len(labels)), rng.permutation(4)
    np.testing.assert_allclose(odds(labels[order], q[order]), odds(labels, q)[order])
    renamed = np.empty_like(q)
    renamed[:, names] = q
    np.testing.assert_allclose(odds(names[labels], renamed), odds(labels, q))
    np.testing.assert_allclose(
        rival_offsets(names[labels], renamed), rival_offsets(labels, q), rtol=1e-10
    )
    np.testing.assert_array_equal(
        likely_other(names[labels], renamed, transition_matrix(names[labels], renamed)),
        names[likely_other(labels, q, transition_matrix(labels, q))],
    )
    # the control: labels of other samples give other scores
    assert not np.allclose(odds(labels[order], q), odds(labels, q))


@laws
@given(seed=st.integers(0, 10**6), k=st.integers(2, 12))
def test_scores_are_bounded(seed: int, k: int) -> None:
    labels, q = problem(seed, k=k)
    matrix = transition_matrix(labels, q)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0)
    assert matrix.min() > 0
    n = len(labels)
    losses = np.random.default_rng(seed).choice([0.0, 1e-20, 1.0, 1e4], (9, n))
    table = LossTable(losses, losses[0], np.arange(9))
    most = -math.log(TINY) + math.log((k - 1) * (n + PRIOR * k) / (PRIOR * 0.01))
    for offsets in (transition_offsets(labels, q, matrix), rival_offsets(labels, q)):
        scores = Odds(table, offsets).scores()
        assert (scores >= 0).all()
        assert (scores < most).all()


@laws
@given(seed=st.integers(0, 10**6))
def test_two_classes_need_losses_only(seed: int) -> None:
    labels, q = problem(seed, k=2)
    given_class = q[np.arange(len(labels)), labels]
    np.testing.assert_allclose(
        offsets_by_class(labels, given_class, 2),
        transition_offsets(labels, q, transition_matrix(labels, q)),
        atol=1e-9,
    )
    np.testing.assert_allclose(rival_offsets(labels, q), 0.0, atol=1e-9)
    # the control: with three classes the others differ
    three, of_three = problem(seed, k=3)
    assert not np.allclose(rival_offsets(three, of_three), 0.0)


def test_equal_confusions_change_nothing() -> None:
    labels, q = problem(1)
    even = np.full((4, 4), 0.1)
    np.fill_diagonal(even, 0.7)
    np.testing.assert_allclose(transition_offsets(labels, q, even), 0.0, atol=1e-12)
    table = LossTable(-np.log(np.full((8, 2), 0.25)), -np.log([0.25, 0.25]), np.arange(8))
    np.testing.assert_allclose(Odds(table, np.zeros(2)).scores(), -math.log(0.25))


def test_a_confused_pair_is_told_from_hard_samples() -> None:
    labels, q, wrong = one_way()
    by_transition = average_precision(odds(labels, q), wrong)
    by_doubt = average_precision(-q[np.arange(400), labels], wrong)
    assert by_transition > 0.9
    assert by_doubt < by_transition - 0.1
    matrix = transition_matrix(labels, q)
    confused = matrix - np.diag(np.diag(matrix))
    assert np.unravel_index(confused.argmax(), (4, 4)) == (0, 1)
    np.testing.assert_array_equal(likely_other(labels, q, matrix)[wrong], 0)


def test_losses_alone_tell_a_label_that_many_samples_get() -> None:
    labels, q, _ = one_way()
    offsets = offsets_by_class(labels, q[np.arange(400), labels], 4)
    assert offsets[labels == 1].min() > offsets[labels == 3].max()
    # the control: without a confused class all labels are alike
    alike = offsets_by_class(labels, np.full(400, 0.9), 4)
    assert np.ptp(alike) < 0.5


def test_a_class_that_is_never_given_is_no_class_of_a_sample() -> None:
    labels, q = np.repeat([0, 1], 30), np.full((60, 3), 1 / 3)
    matrix = transition_matrix(labels, q)
    assert matrix[2, 2] == matrix[2].max()
    assert np.isfinite(odds(labels, q)).all()


def test_standard_error_is_that_of_the_score_itself() -> None:
    rng = np.random.default_rng(0)
    losses = rng.gamma(2.0, 0.5, (12, 5))
    chains = np.arange(12) // 3
    view = Odds(LossTable(losses, losses[0], chains), rng.normal(size=5))
    without = [
        Odds(LossTable(losses[chains != c], losses[0], chains[chains != c]), view.offsets).scores()
        for c in range(4)
    ]
    wanted = np.sqrt(3 / 4 * np.sum((without - np.mean(without, axis=0)) ** 2, axis=0))
    np.testing.assert_allclose(view.standard_error(), wanted)
    assert 0 < view.reliability() <= 1


@pytest.mark.parametrize("members", [0, 1, 3, 8])
def test_missing_members_count_as_the_trained_model(members: int) -> None:
    rng = np.random.default_rng(members)
    losses, base = rng.gamma(1.0, 1.0, (members, 6)), rng.gamma(1.0, 1.0, 6)
    table = LossTable(losses, base, np.arange(members))
    filled = np.concatenate([losses, np.tile(base, (8 - members, 1))])
    whole = LossTable(filled, base, np.arange(8))
    zero = np.zeros(6)
    np.testing.assert_allclose(Odds(table, zero).scores(), Odds(whole, zero).scores())
    np.testing.assert_allclose(ClippedLoss(table, 1.0).scores(), ClippedLoss(whole, 1.0).scores())
    np.testing.assert_array_equal(PlainLoss(table).scores(), base)
