"""A chain ends when its own ranking is reliable: at that member, wherever and beside whatever it
runs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.deviations.halves import split_half
from gexcore.deviations.uncertainty import ENOUGH
from gexcore.errors import InvalidSettingError

SETTINGS: dict[str, Any] = {"chains": 3, "snapshots": 20, "lr": 0.1}


def fit(trained: Any, *, executor: Any = None, **settings: Any) -> gx.LossInfluence:
    method = gx.GEX(**{**SETTINGS, **settings})
    return method.fit(trained.model, trained.data, executor=executor, progress=False)


@pytest.fixture(scope="module")
def whole(trained: Any) -> gx.LossInfluence:
    return fit(trained)


def members_of(found: gx.LossInfluence, chain: int) -> np.ndarray:
    return np.asarray(found.losses[found.table.chains == chain])


@pytest.mark.parametrize("tolerance", [0.01, 0.8, 0.9, 0.95, 1.0])
def test_a_chain_ends_at_the_first_member_that_makes_it_reliable(
    trained: Any, whole: Any, tolerance: float
) -> None:
    found = fit(trained, tolerance=tolerance)
    for chain in range(3):
        rows = members_of(whole, chain)
        clipped = np.minimum(rows, whole.clip).astype(np.float64)
        ends = (
            m
            for m in range(ENOUGH, len(rows))
            if split_half([(slice(0, 96), clipped[:m])], np.zeros(m, int)) >= tolerance
        )
        np.testing.assert_array_equal(members_of(found, chain), rows[: next(ends, len(rows))])


def test_tolerances_between_never_and_at_once_end_chains_at_different_members(
    trained: Any, whole: Any
) -> None:
    """The control of the test above: it compares something."""
    lengths = [len(fit(trained, tolerance=tolerance).table) for tolerance in (0.01, 0.9, 1.0)]
    assert lengths[0] == 3 * ENOUGH < lengths[1] < lengths[2] == len(whole.table)


def test_what_is_saved_is_not_counted(trained: Any, whole: Any) -> None:
    found = fit(trained, tolerance=0.01)
    assert found.run.passes.step == 3 * ENOUGH * found.run.plan.steps * found.run.plan.batch_size
    assert found.run.passes.epochs(96) < whole.run.passes.epochs(96)
    assert found.run.planned == whole.run.planned


def test_other_chains_and_the_executor_have_no_part_in_it(trained: Any) -> None:
    alone, beside = fit(trained, tolerance=0.9, chains=1), fit(trained, tolerance=0.9)
    np.testing.assert_array_equal(members_of(alone, 0), members_of(beside, 0))
    with ThreadPoolExecutor(2) as executor:
        threads = fit(trained, tolerance=0.9, executor=executor, keep=0)
    np.testing.assert_array_equal(threads.losses, beside.losses)


def test_a_tolerance_that_is_none_is_refused() -> None:
    with pytest.raises(
        InvalidSettingError, match=r"tolerance is 1\.5, and must be at most 1, a perfect ranking"
    ):
        gx.GEX(tolerance=1.5)
    with pytest.raises(
        InvalidSettingError, match="tolerance is 0, and must be a finite number above 0"
    ):
        gx.GEX(tolerance=0)
