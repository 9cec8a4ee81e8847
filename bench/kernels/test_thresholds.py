"""Finding a threshold, beside a sort and cumulative sums by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bench.studies.cost_of_views import otsu_by_hand
from gexcore.decisions.threshold import find_threshold

SAMPLES, WRONG = 100_000, 10_000
RNG = np.random.default_rng(0)
SCORES = np.concatenate(
    [RNG.gamma(1.0, 0.1, SAMPLES - WRONG), RNG.normal(3.0, 0.3, WRONG)]
)  # two modes, far apart
LABELS = np.arange(SAMPLES) % 10


@pytest.mark.parametrize("method", ["auto", "valley", "otsu", "mixture"])
def test_threshold(benchmark, method):
    benchmark.group = f"{SAMPLES:,} scores"
    found = benchmark(find_threshold, SCORES, LABELS, method=method)
    assert found.value is not None
    assert abs((found.value < SCORES).sum() / WRONG - 1) < 0.02


def test_otsu_by_hand(benchmark):
    benchmark.group = f"{SAMPLES:,} scores"
    assert 0.5 < benchmark(otsu_by_hand, SCORES) < 3
