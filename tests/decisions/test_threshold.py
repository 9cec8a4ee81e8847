"""Where suspects begin, and when the procedure refuses to say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gexcore.decisions.cuts import MIN_SAMPLES
from gexcore.decisions.noise_rate import noise_rate
from gexcore.decisions.threshold import above, find_threshold, valley_or_refuse
from gexcore.decisions.valley import valley
from gexcore.errors import InvalidDataError

Floats = NDArray[np.float64]
Shape = Callable[[np.random.Generator, int], Floats]

# clean data: most losses small, one tail; scores are positive and their square root is what is cut
ONE_MODE: dict[str, Shape] = {
    "gamma": lambda rng, n: rng.gamma(2.0, 0.1, n),
    "steep gamma": lambda rng, n: rng.gamma(0.5, 0.2, n),
    "lognormal": lambda rng, n: rng.lognormal(-2.0, 0.5, n),
    "wide lognormal": lambda rng, n: rng.lognormal(-2.0, 1.0, n),
    "exponential": lambda rng, n: rng.exponential(0.3, n),
    "half normal": lambda rng, n: np.abs(rng.normal(0.0, 0.5, n)),
    "uniform": lambda rng, n: rng.uniform(0.0, 1.0, n),
}
SEEDS = st.integers(0, 10**6)
few = settings(derandomize=True, database=None, deadline=None, max_examples=30)


@pytest.mark.parametrize("shape", ONE_MODE.values(), ids=ONE_MODE.keys())
def test_one_mode_is_refused(shape: Shape) -> None:
    @few
    @given(seed=SEEDS, n=st.integers(300, 4000))
    def holds(seed: int, n: int) -> None:
        found = valley_or_refuse(shape(np.random.default_rng(seed), n))
        assert (found.value, found.method) == (None, "refused")
        assert "use the scores as a ranking" in found.reason

    holds()


@pytest.mark.parametrize("shape", ONE_MODE.values(), ids=ONE_MODE.keys())
def test_of_few_samples_of_one_mode_hardly_any_set_is_cut(shape: Shape) -> None:
    cut = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        scores = shape(rng, 100)
        found = valley_or_refuse(scores)
        if found.value is not None:
            cut += 1
            assert (scores > found.value).mean() <= 0.5
    assert cut <= 6


@few
@given(seed=SEEDS, n=st.integers(300, 4000), share=st.floats(0.05, 0.35), gap=st.floats(1.8, 2.5))
def test_a_clear_mixture_is_cut_between_its_parts(
    seed: int, n: int, share: float, gap: float
) -> None:
    rng = np.random.default_rng(seed)
    wrong = np.zeros(n, bool)
    wrong[: round(share * n)] = True
    scores = np.where(wrong, rng.normal(gap, 0.25, n), rng.gamma(2.0, 0.05, n))
    found = valley_or_refuse(scores, rng.integers(0, 5, n))
    assert found.method in ("valley", "otsu")
    assert found.value is not None
    flagged = scores > found.value
    assert (flagged & wrong).sum() >= 0.97 * wrong.sum()
    assert (flagged & ~wrong).sum() <= 0.03 * n


def overlapping(n: int, seed: int = 0) -> tuple[Floats, NDArray[np.bool_]]:
    """Modes that touch, as where much is wrong and half forgotten, and which scores are of the
    upper one."""
    rng = np.random.default_rng(seed)
    wrong = np.arange(n) < 0.3 * n
    return np.where(wrong, rng.normal(1.2, 0.2, n), rng.normal(0.55, 0.22, n)) ** 2, wrong


def test_touching_modes_are_cut_by_a_mixture_if_there_are_enough_scores() -> None:
    scores, wrong = overlapping(4000)
    found = valley_or_refuse(scores, np.arange(4000) % 7)
    assert found.method == "mixture"
    assert found.value is not None
    flagged = scores > found.value
    assert (flagged & wrong).sum() >= 0.85 * flagged.sum()
    assert (flagged & wrong).sum() >= 0.85 * wrong.sum()
    few_scores, _ = overlapping(400)
    assert find_threshold(few_scores, method="mixture").method == "mixture"
    assert "mixture" not in {
        valley_or_refuse(overlapping(400, seed)[0]).method for seed in range(20)
    }


def test_what_a_mixture_would_flag_of_one_class_is_still_refused() -> None:
    scores, wrong = overlapping(4000)
    found = valley_or_refuse(scores, np.where(wrong, 1, 0))
    assert found.method == "refused"
    assert "of given class 1, of which at most half can be wrong" in found.reason


def test_two_points_far_apart_are_cut_between_them() -> None:
    found = valley_or_refuse(np.repeat([0.01, 2.25], [80, 20]))
    assert found.value is not None
    assert 0.01 < found.value < 2.25


def test_a_long_tail_is_no_second_part() -> None:
    # an exponential tail behind a spike: η alone would let it pass
    quantiles = (np.arange(40) + 0.5) / 40
    roots = np.concatenate([np.linspace(0.29, 0.31, 1960), 0.31 - np.log(1 - quantiles) / 3])
    found = valley_or_refuse(roots**2)
    assert found.method == "refused"
    assert (
        "(Ashman's D 3.09, at least 3.4 is needed; between-class variance 74.9%, at least 74% "
        "is needed)" in found.reason
    )


def test_a_reason_is_short_however_clear_the_case() -> None:
    found = valley_or_refuse(np.repeat([0.01, 2.25], [800, 200]))
    assert found.reason.startswith("valley between two modes (bump over 100 times the valley, ")
    assert len(found.reason) < 120


def test_the_cut_grows_with_the_scores() -> None:
    rng = np.random.default_rng(3)
    scores = np.concatenate([rng.gamma(2.0, 0.05, 900), rng.normal(2.5, 0.2, 100)])
    found, scaled = valley_or_refuse(scores), valley_or_refuse(scores / 4)
    assert found.value is not None
    assert scaled.value == pytest.approx(found.value / 4)


def test_a_class_that_would_be_mostly_flagged_makes_it_refuse() -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.gamma(2.0, 0.05, 400), rng.normal(2.5, 0.2, 60)])
    even, hard = np.arange(460) % 4, np.repeat([0, 1, 2], [200, 200, 60])
    assert valley_or_refuse(scores, even).value is not None
    assert valley_or_refuse(scores, even).withheld == ()
    found = valley_or_refuse(scores, hard)
    assert (found.value, found.method) == (None, "refused")
    assert "flag 100% of given class 2, of which at most half can be wrong" in found.reason


def test_a_rare_class_that_would_be_flagged_is_withheld() -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.gamma(2.0, 0.05, 800), rng.normal(2.5, 0.2, 130)])
    labels = np.append(np.arange(900) % 3, np.full(30, 7))  # 100 wrong, and a forgotten class
    found = valley_or_refuse(scores, labels)
    assert found.withheld == (7,)
    assert found.reason.endswith("; without given class 7, most of which it would flag")
    flagged = above(scores, labels, found)
    np.testing.assert_array_equal(flagged, np.repeat([False, True, False], [800, 100, 30]))
    assert noise_rate(scores, labels).estimate == pytest.approx(100 / 930)
    # without another group nothing is left, and the class is the reason
    alone = valley_or_refuse(
        np.append(scores[:800], scores[-30:]), np.append(labels[:800], labels[-30:])
    )
    assert alone.method == "refused"
    assert "flag 100% of given class 7" in alone.reason


def test_nothing_is_above_a_threshold_that_was_refused() -> None:
    refused = valley_or_refuse(np.linspace(0.0, 1.0, 100))
    assert not above(np.linspace(0.0, 1.0, 100), None, refused).any()


def test_auto_flags_at_most_a_third_without_classes() -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(0.3, 0.01, 240), rng.normal(2.5, 0.01, 160)])
    found = valley_or_refuse(scores)
    assert found.method == "refused"
    assert "flag 40% of the samples, and at most 33% is allowed" in found.reason
    assert find_threshold(scores, method="valley").method == "valley"
    assert valley_or_refuse(scores, np.arange(400) % 4).method == "valley"


def test_more_than_half_of_all_samples_is_refused_without_classes_too() -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(0.3, 0.01, 100), rng.normal(2.5, 0.01, 300)])
    found = valley_or_refuse(scores)
    assert found.method == "refused"
    assert "flag 75% of the samples" in found.reason


def test_equal_scores_leave_nothing_to_separate() -> None:
    for scores in (np.zeros(500), np.full(500, 2.3), np.array([0.3])):
        assert valley_or_refuse(scores)[:3] == (
            None,
            "refused",
            "all scores are equal; there is nothing to separate",
        )
    assert valley(np.full(500, 2.3)) is None


def test_few_scores_are_refused_however_far_apart() -> None:
    for n in range(2, MIN_SAMPLES):
        found = valley_or_refuse(np.where(np.arange(n) < 0.8 * n, 0.1, 2.9) + 1e-4 * np.arange(n))
        assert found.method == "refused"
        assert found.reason.startswith(f"{n} scores are too few")
    assert valley_or_refuse(np.repeat([0.1, 2.9], [MIN_SAMPLES - 10, 10])).method != "refused"


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_an_error(broken: float) -> None:
    with pytest.raises(InvalidDataError, match="only finite ones"):
        valley_or_refuse(np.append(np.linspace(0, 1, 99), broken))


def test_no_scores_are_an_error() -> None:
    with pytest.raises(InvalidDataError, match="at least one score"):
        valley_or_refuse(np.empty(0))


@few
@given(seed=SEEDS, right=st.floats(1.0, 3.0))
def test_the_valley_lies_between_two_modes(seed: int, right: float) -> None:
    rng = np.random.default_rng(seed)
    found = valley(np.concatenate([rng.normal(0.0, 0.1, 700), rng.normal(right, 0.1, 300)]))
    assert found is not None
    assert 0.2 < found.position < right - 0.2
    assert found.ratio > 5
    assert found.z > 3


def test_a_mode_left_of_the_main_one_is_no_valley() -> None:
    rng = np.random.default_rng(0)
    found = valley(np.concatenate([rng.normal(0.0, 0.1, 300), rng.normal(2.0, 0.1, 700)]))
    assert found is None or found.position > 1.8


def halves(
    flagged_of_one: int, flagged_of_other: int
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Two classes of 300, and clear modes of which the upper one has so many of each."""
    rng = np.random.default_rng(0)
    scores = rng.gamma(2.0, 0.02, 600)
    labels = np.repeat([0, 1], 300)
    for start, count in ((0, flagged_of_one), (300, flagged_of_other)):
        scores[start : start + count] = rng.normal(2.5, 0.1, count)
    return scores, labels


def test_much_of_one_class_and_nothing_of_another_needs_two_modes_in_that_class() -> None:
    scores, labels = halves(90, 3)
    assert valley_or_refuse(scores, labels).method == "valley"
    for both in ((90, 40), (40, 0), (40, 40)):
        assert valley_or_refuse(*halves(*both)).method == "valley"
    forgotten = np.random.default_rng(1).normal(1.5, 0.1, 300) ** 2  # one mode of class 0
    found = valley_or_refuse(np.append(forgotten, scores[300:]), labels)
    assert found.method == "refused"


def test_a_class_of_few_samples_does_not_decide() -> None:
    scores, labels = halves(30, 30)
    labels[:2] = 2
    assert scores[:2].min() > 2
    assert valley_or_refuse(scores, labels).method == "valley"
