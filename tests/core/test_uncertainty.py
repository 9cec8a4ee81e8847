"""Standard errors, against the textbook and against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from gexcore.uncertainty import BATCHES, jackknife, member_groups


def test_of_independent_members_it_is_the_standard_deviation_over_the_root_of_their_number() -> None:
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
    members = 3.0 + rng.normal(size=(runs, chains, 1)) + 0.3 * rng.normal(size=(runs, chains, length))
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
