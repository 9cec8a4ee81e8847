"""The dip against the package that computes it in C++."""

from __future__ import annotations

import diptest
import numpy as np
import pytest

from gexcore.theory import dip, unimodality


@pytest.mark.parametrize("seed", range(20))
def test_the_dip_is_that_of_the_package(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 400))
    x = np.concatenate([rng.normal(size=n), rng.normal(3, 1, n // 2)])
    assert dip(x) == pytest.approx(diptest.dipstat(x), abs=1e-9)
    assert dip(x.round(1)) == pytest.approx(diptest.dipstat(x.round(1)), abs=1e-9)


@pytest.mark.parametrize(("gap", "one"), [(0.0, True), (4.0, False)])
def test_the_p_value_tells_the_same(gap: float, one: bool) -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=150), rng.normal(gap, 1, 150)])
    _, other = diptest.diptest(x)
    found = unimodality(x, draws=200).p_value
    assert (found > 0.05) is (other > 0.05) is one
    assert found == pytest.approx(other, abs=0.08)
