"""Weight decay of members: what was memorised decays before what generalises."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import gexcore as gx
from gexcore.backend.batches import training_order
from gexcore.backend.optimizer import Optimizer
from gexcore.decisions.metrics import average_precision
from gexcore_numpy import MLP, NumpyBackend

LR = {"sgd": 0.05, "adamw": 2e-3}
Name = Literal["sgd", "adamw"]


class Memorised(NamedTuple):
    """A perceptron that knows all of its labels, of which 30 % are wrong."""

    model: MLP
    data: tuple[NDArray[Any], NDArray[Any]]
    wrong: NDArray[np.bool_]


def memorised(optimizer: Name) -> Memorised:
    x, y = load_digits(return_X_y=True)
    x, y = (
        ((x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-6)).astype(np.float32)[:900],
        y[:900],
    )
    rng = np.random.default_rng(0)
    given = y.copy()
    chosen = rng.choice(len(y), round(0.3 * len(y)), replace=False)
    given[chosen] = (y[chosen] + rng.integers(1, 10, len(chosen))) % 10
    backend = NumpyBackend(
        MLP.init((64, 96, 96, 10), seed=0, dtype=np.float32), optimizer=Optimizer(name=optimizer)
    )
    state = backend.copy(backend.initial_state())
    batches = training_order(len(y), 32, seed=0, chain=0)
    for _ in range(120 * len(y) // 32):
        indices, noise = next(batches)
        state, _ = backend.sgd_step_(
            state, (x[indices], given[indices]), lr=LR[optimizer], seed=noise
        )
    return Memorised(backend.to_model(state), (x, given), given != y)


@pytest.mark.parametrize("optimizer", LR)
def test_members_that_decay_forget_wrong_labels_that_others_believe(optimizer: Name) -> None:
    model, data, wrong = memorised(optimizer)
    found = gx.GEX(optimizer=optimizer).fit(model, data, progress=False)
    assert (found.checkpoint_losses[wrong] < np.log(2)).mean() > 0.9
    believing = gx.GEX(optimizer=optimizer, weight_decay=0.0).fit(model, data, progress=False)
    plain, without, ours = (
        1 - average_precision(scores, wrong)
        for scores in (
            found.checkpoint_losses,
            believing.suspicion("clipped_loss"),
            found.suspicion("clipped_loss"),
        )
    )
    assert ours < 0.5 * without < 0.5 * plain
    assert ours < 0.02
    assert 1 - average_precision(found.suspicion(), wrong) < 0.02
    threshold = found.suspects()
    assert wrong[threshold.indices].mean() > 0.85
    assert wrong[threshold.indices].sum() > 0.85 * wrong.sum()
