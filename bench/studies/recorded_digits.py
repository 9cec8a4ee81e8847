"""scikit-learn's digits and a perceptron in NumPy."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

import gexcore as gx
from bench.studies.recorded import EARLY_RUNS, Trained, kept
from gexcore.backend.batches import training_order
from gexcore.backend.optimizer import Optimizer
from gexcore.cli.demo import digits
from gexcore_numpy import MLP, NumpyBackend

EPOCHS, EARLY = 100, 10
LR, BATCH_SIZE = 0.03, 32
MORE_EPOCHS, MORE_LR = 5, 0.02


def trained(folder: Path | None, seed: int) -> Trained:
    """1,797 digits, 10 % flipped, 64-128-128-10 neurons; training as in the demo."""
    noisy = digits(0.1, seed)
    data = noisy.x.astype(np.float32), noisy.given
    started = time.process_time()
    model, checkpoints, recorder = run(data, seed=seed)
    seconds = time.process_time() - started
    runs = [run(data, seed=1000 * (seed + 1) + i, epochs=EARLY) for i in range(EARLY_RUNS)]
    backend = NumpyBackend(model)
    return Trained(
        *data, noisy.flipped, model,
        head=MLP([model.weights[-1]], [model.biases[-1]]),
        features=backend.features(backend.initial_state(), data),
        checkpoints=checkpoints, recorder=recorder,
        early=[early for early, _, _ in runs], early_recorders=[early for _, _, early in runs],
        train=lambda x, y, *, seed: run((x, y), seed=seed)[0],
        finish=lambda data, start,
            seed: run(data, seed=seed, start=start, epochs=MORE_EPOCHS, lr=MORE_LR)[0],
        epochs=EPOCHS, early_epochs=EARLY, recording=2.0, seconds=seconds,
    )  # fmt: skip


def run(
    data: tuple[Any, Any],
    *,
    seed: int,
    start: MLP | None = None,
    epochs: int = EPOCHS,
    lr: float = LR,
) -> tuple[MLP, list[MLP], gx.Recorder]:
    """A training: the model, checkpoints, and what each epoch left of every sample."""
    x, y = data
    first = start or MLP.init((64, 128, 128, 10), seed=seed, dtype=np.float32)
    backend = NumpyBackend(first, optimizer=Optimizer(momentum=0.9))
    state = backend.copy(backend.initial_state())
    batches, recorder, checkpoints = (
        training_order(len(x), BATCH_SIZE, seed=seed, chain=0),
        gx.Recorder(len(x)),
        [],
    )
    for epoch in range(1, epochs + 1):
        for _ in range(len(x) // BATCH_SIZE):
            indices, noise = next(batches)
            state, _ = backend.sgd_step_(state, (x[indices], y[indices]), lr=lr, seed=noise)
        if start is None:
            logits = backend.logits(state, data)
            recorder.add(
                np.arange(len(x)), losses=backend.forward(state, data), logits=logits, labels=y
            )
            recorder.epoch(epoch)
        if epoch in kept(epochs):
            checkpoints.append(backend.to_model(state))
    return backend.to_model(state), checkpoints, recorder
