"""Views of a table of losses, beside the same in a few lines of NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bench.studies.cost_of_views import PRODUCTS, by_hand, losses, top_by_hand, views

MEMBERS, SAMPLES, TESTS = 32, 50_000, 100
TABLE, ROWS = losses(MEMBERS, SAMPLES, 0), losses(MEMBERS, TESTS, 1)
VIEWS, BARE = views(TABLE, ROWS), by_hand(TABLE, ROWS)


def same_as_bare(name, found):
    """Compare a view with the same by hand."""
    scores = TABLE.self_influence()
    if name == "self-influence":
        assert_allclose(found, BARE[name](), rtol=1e-4)
    elif name == "Otsu's cut":
        assert (scores > found.value).sum() == (scores > BARE[name]()).sum()
    elif name.startswith("top "):
        assert set(found) == set(BARE[name]())
    else:
        (proponents, values), (opponents, _) = top_by_hand(ROWS, TABLE)
        assert_allclose(found.proponent_values, values, rtol=1e-5)
        assert (found.proponents == proponents).mean() > 0.99
        assert (found.opponents == opponents).mean() > 0.99


@pytest.mark.parametrize("name", VIEWS)
def test_view(benchmark, name):
    benchmark.group = name
    found = benchmark(VIEWS[name])
    if name in BARE:
        same_as_bare(name, found)
    else:
        assert np.size(np.asarray(found, dtype=object))


@pytest.mark.parametrize("name", [name for name in BARE if name != PRODUCTS])
def test_bare(benchmark, name):
    benchmark.group = name
    assert benchmark(BARE[name]) is not None
