"""Scores for losses other than the cross-entropy of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes

import gexcore as gx
from gexcore.backend.batches import training_order
from gexcore.backend.optimizer import Optimizer
from gexcore.decisions.metrics import average_precision
from gexcore.ensembles.skill import chance_loss
from gexcore.errors import InvalidSettingError
from gexcore_numpy import MLP, NumpyBackend

EPOCHS = 200
QUICK = {"chains": 2, "snapshots": 25}


def diabetes(seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Standardised features and targets, a tenth of these from another patient, and which are off
    by much."""
    x, y = load_diabetes(return_X_y=True)
    x, y = (x - x.mean(axis=0)) / x.std(axis=0), (y - y.mean()) / y.std()
    rng = np.random.default_rng(seed)
    given = y.copy()
    chosen = rng.choice(len(y), len(y) // 10, replace=False)
    given[chosen] = y[rng.integers(0, len(y), len(chosen))]
    return x.astype(np.float32), given[:, None].astype(np.float32), np.abs(given - y) > 0.8


def memorise(x: NDArray[Any], y: NDArray[Any], *, seed: int) -> MLP:
    start = MLP.init([x.shape[1], 64, 64, 1], seed=seed, activation="relu", dtype=np.float32)
    backend = NumpyBackend(start, loss="squared_error", optimizer=Optimizer())
    state = backend.copy(backend.initial_state())
    batches = training_order(len(x), 16, seed=seed, chain=99)
    for _ in range(EPOCHS * len(x) // 16):
        indices, noise = next(batches)
        state, _ = backend.sgd_step_(state, (x[indices], y[indices]), lr=0.01, seed=noise)
    return backend.to_model(state)


def test_wrong_targets_of_a_memorised_regression_are_found_better_than_by_its_loss() -> None:
    ours, plain = [], []
    for seed in range(3):
        x, y, wrong = diabetes(seed)
        influence = gx.GEX(seed=seed, **QUICK).fit(
            memorise(x, y, seed=seed), (x, y), loss="squared_error", progress=False
        )
        ours.append(average_precision(influence.suspicion(), wrong))
        plain.append(average_precision(influence.checkpoint_losses, wrong))
    assert np.mean(ours) > 1.5 * np.mean(plain)


def test_the_clip_of_other_losses_follows_their_scale() -> None:
    x, y, _ = diabetes(0)
    model = memorise(x, y, seed=0)
    last = MLP(
        [*model.weights[:-1], 10 * model.weights[-1]],
        [*model.biases[:-1], 10 * model.biases[-1]],
        "relu",
    )
    fit = {"loss": "squared_error", "progress": False}
    one, ten = (
        gx.GEX(lr=1e-4, snapshots=2, chains=1, chance_loss=c).fit(m, (x, t), **fit)
        for m, t, c in ((model, y, None), (last, 10 * y, None))
    )
    assert ten.clip == pytest.approx(100 * one.clip, rel=1e-4)


def test_the_loss_of_a_guess_is_known_for_tokens() -> None:
    tokens = np.array([[0, 1, 1], [1, 1, -100]])
    assert chance_loss("cross_entropy", tokens) == pytest.approx(
        -(0.2 * np.log(0.2) + 0.8 * np.log(0.8))
    )
    assert chance_loss(None, np.zeros((4, 3), int)) is None


def test_a_loss_of_ones_own_needs_to_name_the_loss_of_a_guess() -> None:
    from gexcore_numpy.losses import LOSSES

    x, y, _ = diabetes(0)
    model, own = memorise(x, y, seed=0), LOSSES["squared_error"]
    with pytest.raises(InvalidSettingError, match="chance_loss"):
        gx.GEX(**QUICK).fit(model, (x, y), loss=own, progress=False)
    named = gx.GEX(**QUICK).fit(model, (x, y), loss="squared_error", progress=False)
    chance = chance_loss("squared_error", y)
    told = gx.GEX(chance_loss=chance, **QUICK).fit(model, (x, y), loss=own, progress=False)
    ours, theirs = (found.suspicion("clipped_loss") for found in (told, named))
    np.testing.assert_array_equal(ours, theirs)
    fixed = gx.GEX(lr=1e-4, chains=1, snapshots=2).fit(model, (x, y), loss=own, progress=False)
    assert fixed.ceiling == np.inf  # nothing is known of its scale
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(InvalidSettingError, match="chance_loss"):
            gx.GEX(chance_loss=wrong)
