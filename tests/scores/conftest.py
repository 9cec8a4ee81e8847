"""A small network, its checkpoints and the history of its training on three clouds with some wrong
labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from gexcore.backend.batches import training_order
from gexcore.scores import Recorder
from gexcore_numpy import MLP, NumpyBackend


class History(NamedTuple):
    """240 samples, a tenth of them with a wrong label, and all that a training on them leaves."""

    model: MLP
    checkpoints: list[MLP]
    recorder: Recorder
    losses: NDArray[np.float64]
    logits: NDArray[np.float64]
    x: NDArray[np.float64]
    y: NDArray[np.int64]
    wrong: NDArray[np.bool_]

    @property
    def data(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        return self.x, self.y


EPOCHS = 8


@pytest.fixture(scope="session")
def history() -> History:
    rng = np.random.default_rng(3)
    n = 240
    true = np.arange(n) % 3
    x = 3.0 * rng.normal(size=(3, 5))[true] + rng.normal(size=(n, 5))
    wrong = np.zeros(n, bool)
    wrong[rng.choice(n, n // 10, replace=False)] = True
    y = np.where(wrong, (true + 1) % 3, true)
    backend = NumpyBackend(MLP.init((5, 24, 3), seed=1))
    state, batches = backend.initial_state(), training_order(n, 16, seed=0, chain=0)
    recorder, checkpoints = Recorder(samples=n), []
    losses, logits = np.full((EPOCHS, n), np.nan), np.full((EPOCHS, n, 3), np.nan)
    for epoch in range(EPOCHS):
        for _ in range(n // 16):
            i, seed = next(batches)
            batch = x[i], y[i]
            losses[epoch, i], logits[epoch, i] = (
                backend.forward(state, batch),
                backend.logits(state, batch),
            )
            recorder.add(i, losses=losses[epoch, i], logits=logits[epoch, i], labels=y[i])
            state = backend.sgd_step(state, batch, lr=0.05, seed=seed)
        recorder.epoch()
        if epoch in (1, 3, 5):
            checkpoints.append(backend.to_model(state))
    return History(backend.to_model(state), checkpoints, recorder, losses, logits, x, y, wrong)
