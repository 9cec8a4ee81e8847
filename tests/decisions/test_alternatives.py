"""Thresholds beside the one that may refuse, and the estimated noise rate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gexcore.decisions.mixture import fit_mixture
from gexcore.decisions.noise_rate import noise_rate, noise_rate_of_odds
from gexcore.decisions.otsu import otsu
from gexcore.decisions.threshold import (
    find_threshold,
    known_rate,
    mixture_cut,
    otsu_cut,
    quantile,
    valley_cut,
)
from gexcore.errors import InvalidDataError, InvalidSettingError

few = settings(derandomize=True, database=None, deadline=None, max_examples=25)
SEEDS = st.integers(0, 10**6)


def two_modes(
    seed: int, n: int, share: float, gap: float = 2.2, width: float = 0.25
) -> NDArray[np.float64]:
    """Scores; those of wrong labels come first."""
    rng = np.random.default_rng(seed)
    wrong = np.arange(n) < round(share * n)
    return np.abs(np.where(wrong, rng.normal(gap, width, n), rng.gamma(2.0, 0.05, n)))


@few
@given(seed=SEEDS, n=st.integers(1, 300), rate=st.floats(0.001, 0.5))
def test_a_known_rate_flags_exactly_so_many(seed: int, n: int, rate: float) -> None:
    scores = np.random.default_rng(seed).random(n)
    count = min(round(rate * n), n // 2)
    if not count:
        with pytest.raises(InvalidSettingError, match="must be a share above 0"):
            known_rate(scores, rate)
        return
    found = known_rate(scores, rate)
    assert found.method == "known_rate"
    assert found.value is not None
    assert (scores > found.value).sum() == count


def test_a_known_rate_refuses_a_cut_between_equals_and_a_class_mostly_flagged() -> None:
    tied = known_rate(np.array([0.1, 0.5, 0.5, 0.9]), 0.5)
    assert (tied.value, tied.method) == (None, "refused")
    assert "the 2 highest scores equal the next" in tied.reason
    rare = np.repeat([0, 1], [90, 10])
    mostly = known_rate(np.arange(100.0), 0.1, rare)
    assert "flag 100% of given class 1" in mostly.reason
    assert known_rate(np.arange(100.0), 0.1, np.arange(100) % 2).value is not None


@few
@given(seed=SEEDS, n=st.integers(1, 300), rate=st.floats(0.001, 0.999))
def test_a_quantile_flags_at_most_its_share_and_never_refuses(
    seed: int, n: int, rate: float
) -> None:
    scores = np.random.default_rng(seed).integers(0, 40, n) / 10
    found = quantile(scores, rate)
    assert found.value is not None
    assert (scores > found.value).sum() <= rate * n + 1e-9
    assert (scores >= found.value).sum() >= rate * n - 1e-9


@few
@given(seed=SEEDS, share=st.floats(0.05, 0.4))
def test_all_that_find_a_rate_find_two_clear_modes(seed: int, share: float) -> None:
    scores = two_modes(seed, 1000, share)
    wrong = np.arange(1000) < round(share * 1000)
    for method in ("valley", "otsu", "mixture"):
        found = find_threshold(scores, method=method)
        assert found.method == method
        assert found.value is not None
        assert ((scores > found.value) != wrong).mean() < 0.02


def test_otsu_cuts_what_auto_refuses_at_otsus_value() -> None:
    scores = np.random.default_rng(0).gamma(2.0, 0.1, 500)
    cut = otsu(np.sqrt(scores))
    assert cut is not None
    assert find_threshold(scores).value is None
    assert valley_cut(scores).value is None
    assert otsu_cut(scores).value == pytest.approx(cut.value**2)


def test_a_mixture_decides_where_modes_overlap_and_refuses_one_mode() -> None:
    rng = np.random.default_rng(0)
    wrong = np.arange(2000) < 500
    scores = np.where(wrong, rng.normal(1.15, 0.18, 2000), rng.normal(0.65, 0.18, 2000)) ** 2
    assert find_threshold(scores).value is None
    found = mixture_cut(scores)
    assert found.value is not None
    assert 0.65 < math.sqrt(found.value) < 1.15
    assert ((scores > found.value) == wrong).mean() > 0.88
    for shape in (
        rng.gamma(2.0, 0.1, 2000),
        rng.lognormal(-2.0, 0.5, 2000),
        rng.uniform(0.0, 1.0, 2000),
    ):
        refused = mixture_cut(shape)
        assert refused.value is None
        assert "use them as a ranking" in refused.reason


@few
@given(seed=SEEDS, share=st.floats(0.1, 0.4))
def test_a_fitted_mixture_is_the_one_that_was_drawn_from(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    upper = rng.random(5000) < share
    found = fit_mixture(np.where(upper, rng.normal(3.0, 0.3, 5000), rng.normal(1.0, 0.5, 5000)))
    assert found is not None
    assert found.share == pytest.approx(upper.mean(), abs=0.01)
    assert found.means == pytest.approx((1.0, 3.0), abs=0.05)
    assert found.deviations == pytest.approx((0.5, 0.3), abs=0.05)
    assert fit_mixture(np.ones(9)) is None


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (
            {"method": "otsus"},
            "no threshold named 'otsus'; allowed are auto, valley, otsu, mixture",
        ),
        ({"method": "known_rate"}, "method 'known_rate' needs a rate, such as rate=0.1"),
        ({"method": "otsu", "rate": 0.1}, "method 'otsu' finds the rate itself; leave rate out"),
        (
            {"method": "known_rate", "rate": 0.6},
            "rate is 0.6, and must be a share above 0 .* at most 0.5",
        ),
        ({"method": "known_rate", "rate": math.nan}, "rate is nan"),
        (
            {"method": "quantile", "rate": 1.0},
            "rate is 1.0, and must be a share above 0 and below 1",
        ),
    ],
)
def test_settings_that_are_none(how: Any, told: str) -> None:
    with pytest.raises(InvalidSettingError, match=told):
        find_threshold(np.arange(100.0), **how)


@pytest.mark.parametrize("scores", [np.array([]), np.append(np.arange(99.0), math.nan)])
@pytest.mark.parametrize("method", ["auto", "valley", "otsu", "mixture", "quantile"])
def test_scores_that_are_none(scores: Any, method: Any) -> None:
    with pytest.raises(InvalidDataError, match="at least one score and only finite ones"):
        find_threshold(scores, method=method, rate=0.1 if method == "quantile" else None)


@few
@given(seed=SEEDS, share=st.floats(0.08, 0.27))
def test_the_noise_rate_is_within_its_interval(seed: int, share: float) -> None:
    found = noise_rate(two_modes(seed, 600, share), draws=40)
    assert 0 < found.low <= found.estimate <= found.high < 0.5
    assert found.estimate == pytest.approx(share, abs=0.01)
    assert found.high - found.low < 0.12


def test_the_interval_covers_the_rate_of_the_population() -> None:
    covered = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        share = (rng.random(500) < 0.2).mean()  # which samples there happen to be
        found = noise_rate(two_modes(seed, 500, share), draws=60)
        covered += found.low <= 0.2 <= found.high
    assert covered >= 34


def test_a_refusal_knows_no_rate_and_an_unsteady_decision_reaches_zero() -> None:
    scores = np.random.default_rng(0).gamma(2.0, 0.1, 500)
    assert all(math.isnan(value) for value in noise_rate(scores))
    # one class is flagged to nearly one half, so that some resamples are refused
    unsteady = two_modes(1, 400, 0.05)
    labels = np.where(np.arange(400) < 41, 0, 1)  # too few to show two modes of their own
    found = noise_rate(unsteady, labels, method="valley")
    assert (found.low, found.estimate) == (0.0, 0.05)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"level": 1.0}, "level is 1.0"),
        ({"draws": 0}, "draws 0"),
        (
            {"method": "known_rate"},
            "method 'known_rate' is told a rate and estimates none; use 'auto' or 'mixture'",
        ),
    ],
)
def test_noise_rates_that_are_none(how: Any, told: str) -> None:
    with pytest.raises(InvalidSettingError, match=told):
        noise_rate(np.arange(100.0), **how)


def odds_of(seed: int, n: int, share: float, *, wrong: float = 1.2, right: float = -2.0) -> Any:
    """Log odds of members: right labels far below 0, and wrong ones around `wrong`."""
    rng = np.random.default_rng(seed)
    chosen = rng.random(n) < share
    return np.where(chosen, rng.normal(wrong, 0.6, n), rng.normal(right, 0.6, n))


@few
@given(seed=SEEDS, share=st.sampled_from([0.0, 0.01, 0.03, 0.1, 0.2, 0.35]))
def test_the_interval_of_odds_holds_the_rate_from_none_to_a_third(seed: int, share: float) -> None:
    found = noise_rate_of_odds(odds_of(seed, 1500, share), draws=40)
    assert found.low <= share <= found.high
    assert found.low <= found.estimate <= found.high
    assert found.estimate == pytest.approx(share, abs=0.035)
    assert share < 0.05 or found.low > share / 2


def test_half_of_the_wrong_labels_may_be_missed_and_not_more() -> None:
    """The assumption of the upper end; beyond it the interval fails, as it says."""
    doubted = odds_of(0, 2000, 0.1)
    for missed, holds in ((0.45, True), (0.75, False)):
        rng = np.random.default_rng(1)
        hidden = (doubted > 0) & (rng.random(2000) < missed)
        found = noise_rate_of_odds(np.where(hidden, -2.0, doubted))
        assert (found.low <= 0.1 <= found.high) == holds


@pytest.mark.parametrize(
    "odds",
    [
        np.random.default_rng(0).normal(-12.0, 1.0, 800),  # members that never left the model
        np.random.default_rng(0).normal(-0.6, 1.2, 800),  # and such that doubt right labels too
        np.full(50, 3.0),
    ],
    ids=["cold", "one mode", "nothing but doubts"],
)
def test_odds_that_say_nothing_are_refused(odds: Any) -> None:
    assert all(math.isnan(value) for value in noise_rate_of_odds(odds))


@pytest.mark.parametrize("odds", [[], [0.0, math.nan]])
def test_odds_that_are_none(odds: Any) -> None:
    with pytest.raises(InvalidDataError, match="only finite ones"):
        noise_rate_of_odds(np.array(odds))
    with pytest.raises(InvalidSettingError, match=r"level is 1\.0"):
        noise_rate_of_odds(np.zeros(9), level=1.0)
