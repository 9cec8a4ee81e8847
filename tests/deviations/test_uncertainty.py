"""Standard errors and reliability, against the textbook and against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gexcore.decisions.metrics import correlation
from gexcore.deviations.blocks import parts
from gexcore.deviations.halves import agreement_above, scores_of_halves, split_half, themselves
from gexcore.deviations.uncertainty import (
    BATCHES,
    interval_of_positive,
    jackknife,
    log_of_positive,
    member_groups,
    t_quantiles,
)
from gexcore.errors import InvalidSettingError


def test_of_independent_members_it_is_the_standard_deviation_over_the_root_of_their_number() -> (
    None
):
    rows = np.random.default_rng(0).gamma(1.0, 1.0, (20, 6))
    wanted = rows.std(axis=0, ddof=1) / np.sqrt(20)
    np.testing.assert_allclose(jackknife(rows, np.arange(20), 6), wanted)


def test_copies_within_a_chain_do_not_make_it_surer() -> None:
    means = np.random.default_rng(1).normal(size=(6, 4))
    once = jackknife(means, np.arange(6), 4)
    copies = jackknife(np.repeat(means, 10, axis=0), np.repeat(np.arange(6), 10), 4)
    np.testing.assert_allclose(copies, once)


def test_of_chained_members_it_is_the_spread_of_the_mean_from_run_to_run() -> None:
    rng = np.random.default_rng(2)
    runs, chains, length = 400, 6, 8
    members = (
        3.0 + rng.normal(size=(runs, chains, 1)) + 0.3 * rng.normal(size=(runs, chains, length))
    )
    rows = members.reshape(runs, -1)
    groups = np.repeat(np.arange(chains), length)
    errors = np.array([jackknife(row[:, None], groups, 1)[0] for row in rows])
    spread = rows.mean(axis=1).std(ddof=1)
    assert np.sqrt((errors**2).mean()) == pytest.approx(spread, rel=0.1)
    naive = np.array([jackknife(row[:, None], np.arange(chains * length), 1)[0] for row in rows])
    assert np.sqrt((naive**2).mean()) < 0.6 * spread


def test_missing_entries_do_not_count() -> None:
    rows = np.random.default_rng(3).normal(size=(12, 3))
    rows[::2, 1] = np.nan
    rows[1:, 2] = np.nan
    found = jackknife(rows, np.arange(12), 3)
    assert found[1] == pytest.approx(rows[1::2, 1].std(ddof=1) / np.sqrt(6))
    assert np.isnan(found[2])


def test_of_no_member_or_of_one_it_is_unknown() -> None:
    assert np.isnan(jackknife([], np.empty(0, int), 3)).all()
    assert np.isnan(jackknife([np.ones(3)], member_groups(np.array([7])), 3)).all()


def test_groups_are_the_chains() -> None:
    assert member_groups(np.array([4, 4, 0, 9, 0])).tolist() == [1, 1, 0, 2, 0]


def test_a_single_chain_is_cut_into_consecutive_parts() -> None:
    groups = member_groups(np.zeros(20, int))
    assert groups.tolist() == sorted(groups.tolist())
    sizes = np.bincount(groups)
    assert len(sizes) == BATCHES
    assert set(sizes) <= {2, 3}
    assert member_groups(np.zeros(3, int)).tolist() == [0, 1, 2]
    assert member_groups(np.empty(0, int)).tolist() == []


laws = settings(derandomize=True, database=None, deadline=None, max_examples=25)


def blocks_of(rows: np.ndarray, size: int | None = None) -> list[tuple[slice, np.ndarray]]:
    """The rows in blocks of so many samples, or in one."""
    samples = np.shape(rows)[1]
    return [(part, np.asarray(rows)[:, part]) for part in parts(samples, size or samples)]


def simulated(
    rng: np.random.Generator, *, chains: int, length: int, noise: float, samples: int = 800
) -> np.ndarray:
    """Members that see the same scores through noise of their chain and noise of their own."""
    truth = rng.normal(size=samples)
    of_chain = rng.normal(size=(chains, 1, samples))
    own = rng.normal(size=(chains, length, samples))
    return (truth + noise * (of_chain + own)).reshape(chains * length, samples)


@laws
@given(seed=st.integers(0, 10**6), members=st.integers(2, 20), one_chain=st.booleans())
def test_equal_members_are_perfectly_reliable(seed: int, members: int, one_chain: bool) -> None:
    row = np.random.default_rng(seed).normal(size=30)
    chains = np.zeros(members, int) if one_chain else np.arange(members)
    assert split_half(blocks_of([row] * members), chains) == pytest.approx(1.0)


@laws
@given(seed=st.integers(0, 10**6), chains=st.integers(2, 20))
def test_noise_is_not_reliable(seed: int, chains: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(2 * chains, 2000))
    assert abs(split_half(blocks_of(rows), np.repeat(np.arange(chains), 2))) < 0.2


@laws
@given(
    seed=st.integers(0, 10**6),
    chains=st.sampled_from([2, 4, 8]),
    length=st.integers(1, 5),
    noise=st.floats(0.2, 2),
)
def test_it_is_the_correlation_with_another_run(
    seed: int, chains: int, length: int, noise: float
) -> None:
    rng = np.random.default_rng(seed)
    rows = simulated(rng, chains=2 * chains, length=length, noise=noise, samples=4000)
    one, other = np.split(rows, 2)
    wanted = correlation(one.mean(axis=0), other.mean(axis=0))
    assert split_half(blocks_of(one), np.repeat(np.arange(chains), length)) == pytest.approx(
        wanted, abs=0.06
    )


def test_halves_that_share_a_chain_would_be_too_sure() -> None:
    """The control: members of one chain on both sides agree about the noise of that chain."""
    rows = simulated(np.random.default_rng(5), chains=4, length=6, noise=1.5)
    chains = np.repeat(np.arange(4), 6)
    assert split_half(blocks_of(rows), np.arange(24)) > split_half(blocks_of(rows), chains) + 0.1


def test_of_a_single_chain_it_is_by_every_other_part() -> None:
    rows = np.random.default_rng(6).normal(size=(16, 50)) + np.random.default_rng(7).normal(size=50)
    parts = rows.reshape(8, 2, 50).mean(axis=1)
    r = correlation(parts[::2].mean(axis=0), parts[1::2].mean(axis=0))
    assert split_half(blocks_of(rows), np.zeros(16, int)) == pytest.approx(2 * r / (1 + r))


def test_of_squares_the_largest_does_not_decide() -> None:
    rng = np.random.default_rng(9)
    deviations = rng.normal(size=(8, 400))
    deviations[:, 0] = 10.0  # one sample that every member agrees about, and noise
    plain, rooted = (
        split_half(blocks_of(deviations**2), np.arange(8), squares=squares)
        for squares in (False, True)
    )
    assert plain > 0.98
    assert rooted < 0.9


@laws
@given(seed=st.integers(0, 10**6), members=st.sampled_from([2, 3, 16]), cut=st.floats(-1, 1))
def test_agreement_is_dices_of_the_samples_above_the_cut(
    seed: int, members: int, cut: float
) -> None:
    rows = np.random.default_rng(seed).normal(size=(members, 60))
    assert agreement_above(blocks_of([rows[0]] * members), np.zeros(members, int), cut=cut) == 1.0
    one, other = ({i for i in range(60) if row[i] > cut} for row in rows[:2])
    wanted = 2 * len(one & other) / (len(one) + len(other))
    assert agreement_above(blocks_of(rows[:2]), np.arange(2), cut=cut) == pytest.approx(wanted)


def test_agreement_on_nobody_is_unknown() -> None:
    rows = np.ones((4, 5))
    assert np.isnan(agreement_above(blocks_of(rows), np.arange(4), cut=2.0))
    assert np.isnan(agreement_above(blocks_of(rows[:1]), np.arange(1), cut=0.5))
    assert agreement_above(blocks_of(np.eye(2)), np.arange(2), cut=0.5) == 0.0


@laws
@given(
    seed=st.integers(0, 10**6),
    chains=st.sampled_from([1, 2, 5, 40]),
    missing=st.sampled_from([0.0, 0.5]),
    size=st.sampled_from([1, 2, 7, 50, 70]),
    squares=st.booleans(),
)
def test_blocks_of_samples_tell_the_same(
    seed: int, chains: int, missing: float, size: int, squares: bool
) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.gamma(0.3, 1.0, (40, 60)) + rng.gamma(0.3, 1.0, 60)
    rows[rng.random(rows.shape) < missing] = np.nan
    of = np.arange(40) * chains // 40
    for cut in next(iter(scores_of_halves(blocks_of(rows), of, themselves)))[1][
        :5
    ]:  # where the last bit decides
        whole = agreement_above(blocks_of(rows), of, cut=cut)
        assert agreement_above(blocks_of(rows, size), of, cut=cut) == pytest.approx(
            whole, rel=0, abs=0, nan_ok=True
        )
    wanted = split_half(blocks_of(rows), of, squares=squares)
    assert split_half(blocks_of(rows, size), of, squares=squares) == pytest.approx(wanted, abs=1e-9)


def test_what_blocks_tell_each_by_themselves_is_something_else() -> None:
    """The control: neither number is a mean over blocks."""
    rows = np.random.default_rng(10).gamma(0.3, 1.0, (8, 60)) + np.repeat([0.0, 1.0, 5.0], 20)
    blocks = blocks_of(rows, 20)
    alone = [(slice(0, 20), block) for _, block in blocks]
    for tell in (
        lambda found: agreement_above(found, np.arange(8), cut=1.5),
        lambda found: split_half(found, np.arange(8)),
    ):
        assert abs(np.nanmean([tell([block]) for block in alone]) - tell(blocks)) > 0.1


def test_unseen_samples_do_not_count() -> None:
    rng = np.random.default_rng(8)
    rows = simulated(rng, chains=4, length=3, noise=0.5)
    wild = np.where(rng.random(800) < 0.5, np.nan, 100.0 * rng.normal(size=800))
    rows = np.concatenate([rows, np.tile(wild, (12, 1))], axis=1)
    rows[3:, 800:] = np.nan
    chains = np.repeat(np.arange(4), 3)
    assert split_half(blocks_of(rows), chains) == pytest.approx(
        split_half(blocks_of(rows[:, :800]), chains)
    )


@pytest.mark.parametrize(
    "rows", [np.empty((0, 5)), np.ones((1, 5)), np.ones((4, 5)), np.full((4, 5), np.nan)]
)
def test_where_nothing_can_be_compared_it_is_unknown(rows: np.ndarray) -> None:
    assert np.isnan(split_half([(slice(0, 5), rows)], np.arange(len(rows))))


@pytest.mark.parametrize("chains", [2, 3, 8])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_intervals_cover_as_often_as_they_say(chains: int, level: float) -> None:
    """By Student's t within three points; by the normal distribution they would not."""
    rng = np.random.default_rng(chains)
    samples = 20_000
    rows = rng.normal(size=(chains, 1, samples)) + rng.normal(size=(chains, 5, samples))
    groups = np.repeat(np.arange(chains), 5)
    error = jackknife(rows.reshape(-1, samples), groups, samples)
    mean = rows.mean(axis=(0, 1))
    freedom = np.full(samples, chains - 1)
    covered = (np.abs(mean) <= t_quantiles(level, freedom) * error).mean()
    assert abs(covered - level) < 0.03
    if chains < 8:
        normal = {0.9: 1.645, 0.95: 1.960}[level]
        assert (np.abs(mean) <= normal * error).mean() < level - 0.05


def test_quantiles_are_those_of_the_tables() -> None:
    found = t_quantiles(0.95, np.array([0, 1, 2, 10]))
    np.testing.assert_allclose(found, [np.nan, 12.706, 4.303, 2.228], atol=5e-4)
    for level in (0.0, 1.0, 95):
        with pytest.raises(InvalidSettingError, match="must be between 0 and 1"):
            t_quantiles(level, np.array([1]))


@pytest.mark.parametrize("groups", [4, 8])
def test_intervals_of_skewed_means_hold_them_as_often_as_they_say(groups: int) -> None:
    """Means of squares over chains are skewed, some more than others, and so are their errors."""
    rng = np.random.default_rng(6)
    runs, samples = 150, 120
    spread = rng.uniform(0.45, 1.15, samples)
    truth = rng.lognormal(0.0, 2.0, samples)
    means = truth * rng.lognormal(-(spread**2) / 2, spread, (runs, groups, samples))
    freedom = np.full(samples, groups - 1)
    covered, alone = [], []
    for run in means:
        scores = run.mean(axis=0)
        errors = jackknife(run, np.arange(groups), samples, of=log_of_positive)
        low, high = interval_of_positive(scores, errors, freedom, 0.9)
        covered.append((low <= truth) & (truth <= high))
        factor = np.exp(errors * t_quantiles(0.9, freedom))
        alone.append((scores / factor <= truth) & (truth <= scores * factor))
        assert ((low <= scores / factor) & (high >= scores * factor)).all()
    assert np.mean(covered) == pytest.approx(0.9, abs=0.04)
    assert np.mean(alone) < 0.87  # the negative control: each sample by its own error


def test_intervals_of_nothing_are_nothing() -> None:
    none = np.array([0.0, 1.0, 4.0])
    low, high = interval_of_positive(none, np.array([0.0, np.nan, 1.0]), np.full(3, 3), 0.9)
    assert (low[0], high[0]) == (0, 0)
    assert np.isnan([low[1], high[1]]).all()
    assert 0 < low[2] < 4 < high[2]
