"""The confusion score: its formula, its laws, and what it finds."""

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
from gexcore.influence.confusions import EXTRA, MARGIN, POWER, lifts
from gexcore.influence.suspicion import Odds
from gexcore.influence.transition import (
    TINY,
    largest_confusion,
    offsets_of,
    transition_matrix,
    transition_offsets,
    with_given,
)

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]
laws = settings(derandomize=True, database=None, deadline=None, max_examples=40)


def problem(seed: int, *, n: int = 80, k: int = 4) -> tuple[Labels, Floats]:
    """Labels of every class, and class probabilities."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    q = rng.dirichlet(np.full(k, 0.5), n)
    q[np.arange(n), labels] += rng.integers(0, 3, n)
    return labels, q / q.sum(axis=1, keepdims=True)


def alike(seed: int = 0, *, n: int = 4000) -> tuple[Labels, Floats, NDArray[Any]]:
    """Classes 0 and 1 look alike, and members know how much. 2 % of the labels are wrong."""
    rng = np.random.default_rng(seed)
    q = np.full((n, 4), 0.02)
    true = rng.integers(0, 4, n)
    q[np.arange(n), true] = 0.94
    unsure = (true < 2) & (rng.random(n) < 0.5)
    q[unsure, 0] = rng.uniform(0.1, 0.9, unsure.sum())
    q[unsure, 1] = 1 - q[unsure, 0]
    labels = np.where(unsure, rng.random(n) < q[:, 1], true)
    q /= q.sum(axis=1, keepdims=True)
    wrong = rng.random(n) < 0.02
    labels[wrong] = (labels[wrong] + rng.integers(1, 4, wrong.sum())) % 4
    return labels, q, wrong


def one_way(seed: int = 0) -> tuple[Labels, Floats, NDArray[Any]]:
    """A third of class 0 is labelled 1, and members believe it of all samples of class 0."""
    rng = np.random.default_rng(seed)
    true = np.repeat(np.arange(4), 200)
    labels = np.where((true == 0) & (rng.random(800) < 0.33), 1, true)
    q = np.full((800, 4), 0.03)
    q[np.arange(800), true] = 0.91
    q[true == 0, :2] = 0.64, 0.3
    hard = (true > 1) & (rng.random(800) < 0.1)  # right labels that the members doubt
    q[hard] = 0.2
    return labels, with_given(labels, q[np.arange(800), labels], q), labels != true


def test_the_formula_is_that_of_the_documentation() -> None:
    labels, q = problem(0)
    n, k = q.shape
    t = [np.mean([q[i, c] for i in range(n) if labels[i] == c]) for c in range(k)]
    counts, doubted = np.zeros((k, k)), np.zeros((k, k))
    for i in range(n):
        likely = max(range(k), key=lambda c: q[i, c] / t[c])
        counts[likely, labels[i]] += 1
        doubted[likely] += q[i]
    pairs = [(a, b) for a in range(k) for b in range(k) if a != b]
    scale = sum(counts[p] for p in pairs) / sum(doubted[p] for p in pairs)
    explained = {(a, b): scale * min(doubted[a, b], doubted[b, a]) for a, b in pairs}
    excess = {p: max(0.0, counts[p] - MARGIN * v - math.sqrt(v)) for p, v in explained.items()}
    rate = min(0.5, sum(excess.values()) / n)
    found = lifts(labels, q)
    for p in pairs:
        equal = counts[p[0]].sum() * rate / (k - 1)
        extra = EXTRA + math.sqrt(explained[p])
        wanted = (max(excess[p], min(counts[p], equal)) + extra) / (equal + extra)
        assert found[p] == pytest.approx(wanted)
    np.testing.assert_array_equal(np.diag(found), 1.0)


@laws
@given(seed=st.integers(0, 10**6))
def test_the_order_of_samples_and_the_names_of_classes_do_not_matter(seed: int) -> None:
    labels, q = problem(seed)
    rng = np.random.default_rng(seed)
    order, names = rng.permutation(len(labels)), rng.permutation(4)
    found = lifts(labels, q)
    np.testing.assert_allclose(lifts(labels[order], q[order]), found)
    renamed = np.empty_like(q)
    renamed[:, names] = q
    np.testing.assert_allclose(lifts(names[labels], renamed)[np.ix_(names, names)], found)


def test_labels_of_other_samples_give_other_lifts() -> None:  # the control of the law above
    labels, q, _ = one_way()
    assert not np.allclose(lifts(np.roll(labels, 200), q), lifts(labels, q), atol=0.1)


@laws
@given(seed=st.integers(0, 10**6), k=st.integers(2, 12))
def test_scores_are_bounded(seed: int, k: int) -> None:
    labels, q = problem(seed, k=k)
    n = len(labels)
    found = lifts(labels, q)
    assert found.min() >= EXTRA / (n + EXTRA)
    assert found.max() <= n + EXTRA
    losses = np.random.default_rng(seed).choice([0.0, 1e-20, 1.0, 1e4], (9, n))
    table = LossTable(losses, losses[0], np.arange(9))
    scores = Odds(table, offsets_of(labels, q, found), power=POWER).scores()
    assert (scores >= 0).all()
    assert (scores < -math.log(TINY) + math.log(n + EXTRA) + 1e-9).all()


def test_classes_that_look_alike_are_not_suspected_more() -> None:
    labels, q, wrong = alike()
    found = lifts(labels, q)
    p = q[np.arange(len(labels)), labels]
    plain = np.log1p(-p) - np.log(p)
    alone = average_precision(plain, wrong)
    assert average_precision(plain + offsets_of(labels, q, found), wrong) > alone - 0.01
    # the control: all confusions count
    everything = plain + transition_offsets(labels, q, transition_matrix(labels, q))
    assert average_precision(everything, wrong) < alone - 0.3


def test_labels_that_doubts_explain_change_nothing() -> None:
    rng = np.random.default_rng(0)
    q = rng.dirichlet(np.full(3, 0.4), 3000)
    labels = np.array([rng.choice(3, p=p) for p in q])
    assert np.abs(lifts(labels, q) - 1).max() < 0.25
    # the control: a fifth of one class is moved to the next
    moved = np.where((q.argmax(axis=1) == 0) & (rng.random(3000) < 0.4), 1, labels)
    assert lifts(moved, q)[0, 1] > 1.4


def test_a_confusion_of_one_way_is_found_though_the_members_learned_it() -> None:
    labels, q, wrong = one_way()
    found = lifts(labels, q)
    assert largest_confusion(found)[:2] == (0, 1)
    assert found[0, 1] > 4
    p = q[np.arange(len(labels)), labels]
    plain = np.log1p(-p) - np.log(p)
    by_confusion = average_precision(plain + offsets_of(labels, q, found), wrong)
    assert by_confusion > 0.95
    assert average_precision(plain, wrong) < by_confusion - 0.1


def test_a_power_lies_between_a_mean_of_probabilities_and_of_losses() -> None:
    losses = np.random.default_rng(0).gamma(1.0, 1.5, (9, 40))
    table = LossTable(losses, losses[0], np.arange(9))
    low, middle, high = (
        Odds(table, np.zeros(40), power=power).scores() for power in (1.0, POWER, 1e-6)
    )
    assert (low <= middle + 1e-9).all()
    assert (middle <= high + 1e-9).all()
    np.testing.assert_allclose(high, 0.9 * losses.mean(axis=0) + 0.1 * losses[0], rtol=1e-4)
    p = (0.9 * np.exp(-losses / 2).mean(axis=0) + 0.1 * np.exp(-losses[0] / 2)) ** 2
    np.testing.assert_allclose(middle, -np.log(p))
