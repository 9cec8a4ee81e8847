"""Skill: 1 at the checkpoint, 0 for a guess, blind to a minority of wrong labels, aware of every
class."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gexcore.ensembles.skill import (
    BROKEN_LOSS,
    KNOWN,
    ClassSkill,
    LossSkill,
    chance_loss,
    finite,
    gained,
)

laws = settings(derandomize=True, database=None, deadline=None)

N, K = 60, 3
LABELS = np.arange(N) % K
BASE = np.random.default_rng(0).gamma(1.0, 0.05, N)
ALL = np.arange(N)


def subset(seed: int) -> NDArray[np.intp]:
    rng = np.random.default_rng(seed)
    return rng.permutation(N)[: rng.integers(5, N)]


@laws
@given(seed=st.integers(0, 999), by_size=st.booleans())
def test_class_skill_is_the_mean_of_class_medians_above_chance(seed: int, by_size: bool) -> None:
    indices = subset(seed)
    losses = np.random.default_rng(seed).gamma(1.0, 1.0, len(indices))

    def absolute(values: NDArray[np.float64]) -> float:
        total = weight = 0.0
        for k in range(K):
            chosen = [math.exp(-v) for v, i in zip(values, indices, strict=True) if LABELS[i] == k]
            if chosen:
                w = len(chosen) if by_size else 1
                total, weight = total + w * float(np.median(chosen)), weight + w
        return total / weight - 1 / K

    skill = ClassSkill(LABELS, K, BASE, by_size=by_size)
    assert skill(losses, indices) == pytest.approx(absolute(losses) / absolute(BASE[indices]))


@laws
@given(seed=st.integers(0, 999))
def test_the_checkpoint_has_skill_one_and_a_guess_none(seed: int) -> None:
    indices = subset(seed)
    for skill, guess in [
        (ClassSkill(LABELS, K, BASE, by_size=True), math.log(K)),
        (ClassSkill(LABELS, K, BASE, by_size=False), math.log(K)),
        (LossSkill(2.0, BASE), 2.0),
    ]:
        assert skill(BASE[indices], indices) == pytest.approx(1.0)
        assert skill(np.full(len(indices), guess), indices) == pytest.approx(0.0, abs=1e-12)
        assert skill(np.full(len(indices), 9.0), indices) < 0


def test_a_minority_of_forgotten_samples_in_each_class_hardly_matters() -> None:
    skill = ClassSkill(LABELS, K, BASE, by_size=True)
    assert skill(np.where(ALL % 10 < 3, 9.0, BASE), ALL) > 0.9
    assert skill(np.where(ALL % 10 < 7, 9.0, BASE), ALL) < 0.1


def test_a_melted_class_is_seen_though_it_is_small() -> None:
    labels = np.repeat([0, 1, 2], [50, 5, 5])
    melted = np.where(labels == 2, 9.0, BASE)
    assert ClassSkill(labels, K, BASE, by_size=False)(melted, ALL) < 0.6
    assert ClassSkill(labels, K, BASE, by_size=True)(melted, ALL) > 0.85


def test_losses_that_are_not_finite_count_as_forgotten() -> None:
    losses = np.array([0.5, np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(finite(losses), [0.5, BROKEN_LOSS, BROKEN_LOSS, BROKEN_LOSS])
    for skill in (ClassSkill(LABELS, K, BASE, by_size=True), LossSkill(2.0, BASE)):
        assert skill(np.full(N, np.nan), ALL) < 0


def test_a_checkpoint_no_better_than_a_guess_has_no_measure() -> None:
    assert math.isnan(ClassSkill(LABELS, K, np.full(N, 5.0), by_size=True)(BASE, ALL))
    assert math.isnan(LossSkill(2.0, np.full(N, 5.0))(BASE, ALL))


def test_loss_skill_compares_medians() -> None:
    skill = LossSkill(2.0, np.full(N, 0.5))
    assert skill(np.full(N, 0.8), ALL) == pytest.approx((1 - 0.8 / 2) / (1 - 0.5 / 2))


def test_chance_loss_is_that_of_the_best_constant_guess() -> None:
    targets = np.array([0.0, 1.0, 2.0, 5.0])
    assert chance_loss("squared_error", targets) == np.median((targets - 2.0) ** 2)
    assert chance_loss("squared_error", np.stack([targets, targets], axis=1)) == 2 * np.median(
        (targets - 2.0) ** 2
    )
    assert chance_loss("binary_cross_entropy", np.zeros((4, 3))) == pytest.approx(3 * math.log(2))
    assert chance_loss("squared_error", None) is None
    assert chance_loss(None, targets) is None
    assert chance_loss(len, targets) is None


@laws
@given(seed=st.integers(0, 999))
def test_what_a_reference_knows_is_not_gained(seed: int) -> None:
    indices, rng = subset(seed), np.random.default_rng(seed)
    for skill in (ClassSkill(LABELS, K, BASE, by_size=True), LossSkill(2.0, BASE)):
        at = rng.uniform(0.0, skill.chance, N)
        beyond = gained(skill, at)
        if skill(at, ALL) >= KNOWN:
            assert beyond is skill, "nothing is left to gain"
            continue
        own = skill(at[indices], indices)
        assert beyond(BASE[indices], indices) == pytest.approx(1.0)
        if 0 < own < KNOWN:
            assert beyond(at[indices], indices) == pytest.approx(0.0, abs=1e-12)
        losses = rng.uniform(0.0, skill.chance, len(indices))
        assert beyond(losses, indices) <= skill(losses, indices) + 1e-12 or own <= 0
        # a reference that is worse than a guess knows nothing
        wrong = gained(skill, np.full(N, 9.0))
        assert wrong(losses, indices) == skill(losses, indices)
