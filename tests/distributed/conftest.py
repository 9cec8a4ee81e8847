"""A small network with data, and workers that are real processes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gexcore.plan import training_order
from gexcore_numpy import MLP, NumpyBackend

# workers find the functions of the tests by name; at the end, so that the installed package comes first
sys.path.append(str(Path(__file__).parents[2]))


def train() -> tuple[MLP, Any]:
    """Three clouds with some wrong labels, learnt by heart, with batch normalisation."""
    rng = np.random.default_rng(7)
    true = np.arange(60) % 3
    x = 3.0 * rng.normal(size=(3, 5))[true] + rng.normal(size=(60, 5))
    y = np.where(np.arange(60) % 10 == 0, (true + 1) % 3, true)
    backend = NumpyBackend(MLP.init((5, 16, 3), seed=1, batch_norm=True))
    state = backend.initial_state()
    batches = training_order(60, 16, seed=0, chain=0)
    for _ in range(300):
        indices, seed = next(batches)
        state = backend.sgd_step(state, (x[indices], y[indices]), lr=0.1, seed=seed)
    return backend.to_model(state), (x, y)


@pytest.fixture(scope="session")
def problem() -> tuple[MLP, Any]:
    return train()
