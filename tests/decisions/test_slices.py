"""Which group the suspects come from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gexcore.decisions.slices import slices
from gexcore.errors import InvalidDataError


@settings(derandomize=True, database=None, deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 60), groups=st.integers(1, 5))
def test_every_sample_and_every_suspect_is_counted_once(seed: int, n: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    names = rng.choice([f"annotator {g}" for g in range(groups)], n)
    scores, flagged = rng.random(n), rng.permutation(n)[: rng.integers(0, n + 1)]
    found = slices(scores, names, flagged)
    assert sorted(part.group for part in found) == sorted(set(names.tolist()))
    for part in found:
        own = np.flatnonzero(names == part.group)
        assert (part.samples, part.flagged) == (len(own), len(np.intersect1d(own, flagged)))
        assert part.mean == pytest.approx(scores[own].mean())
        assert 0 <= part.low <= part.share <= part.high <= 1
    assert [part.share for part in found] == sorted((part.share for part in found), reverse=True)


def test_the_interval_covers_a_groups_rate_and_shrinks_with_its_size() -> None:
    rng = np.random.default_rng(0)
    for size, widest in ((40, 0.35), (400, 0.1)):
        covered = 0
        for _ in range(200):
            part = slices(np.zeros(size), np.zeros(size), np.flatnonzero(rng.random(size) < 0.2))[0]
            covered += part.low <= 0.2 <= part.high
            assert part.high - part.low < widest
        assert covered >= 180


@pytest.mark.parametrize(
    ("scores", "groups", "flagged", "told"),
    [
        ([1.0, 2.0], ["a"], [], r"scores have shape \(2,\) and groups \(1,\); give one group"),
        ([1.0, np.nan], ["a", "b"], [], "1 scores are NaN; give one group and one number"),
        ([1.0, 2.0], ["a", "b"], [2], "position 2 is outside 0 … 1"),
        ([1.0, 2.0], ["a", "b"], [1, 1], "no.* distinct positions|not distinct positions"),
    ],
)
def test_what_has_no_slices(scores: Any, groups: Any, flagged: Any, told: str) -> None:
    with pytest.raises(InvalidDataError, match=told):
        slices(scores, groups, flagged)
