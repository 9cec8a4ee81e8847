"""MNIST and a small convolutional net with BatchNorm, in PyTorch."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import gexcore as gx
from bench.studies import data, models
from bench.studies.recorded import EARLY_RUNS, Trained, kept
from bench.studies.training import train
from gexcore_torch.backend import TorchBackend

SAMPLES = 1500
EPOCHS, EARLY = 25, 3
LR, BATCH_SIZE = 0.1, 64


def trained(folder: Path | None, seed: int) -> Trained:
    """1,500 of the t10k digits, 10 % flipped; training as in `training`."""
    if folder is None:
        raise SystemExit("mnist needs --data, the folder with mnist/")
    torch.set_num_threads(1)
    noisy = data.mnist(folder, seed)
    part = np.sort(np.random.default_rng([seed, 3]).choice(len(noisy.x), SAMPLES, replace=False))
    x, y = np.ascontiguousarray(noisy.x[part]), noisy.labels[part]
    started = time.process_time()
    model, checkpoints, recorder = run(x, y, seed=seed)
    seconds = time.process_time() - started
    runs = [run(x, y, seed=1000 * (seed + 1) + i, epochs=EARLY) for i in range(EARLY_RUNS)]
    backend = TorchBackend(model)
    return Trained(
        x, y, noisy.wrong[part], model,
        head=copy.deepcopy(model[-1]),
        features=np.asarray(backend.features(backend.initial_state(), (x, y))),
        checkpoints=checkpoints, recorder=recorder,
        early=[early.state_dict() for early, _, _ in runs],
            early_recorders=[early for _, _, early in runs],
        train=lambda x, y, *, seed: run(x, y, seed=seed)[0],
        finish=lambda data, start,
            seed: train(start, *data, epochs=1, lr=0.01, batch_size=BATCH_SIZE, seed=seed),
        epochs=EPOCHS, early_epochs=EARLY, recording=0.0, seconds=seconds,
    )  # fmt: skip


def run(
    x: Any, y: Any, *, seed: int, epochs: int = EPOCHS
) -> tuple[torch.nn.Module, list[Any], gx.Recorder]:
    """A training: the model, checkpoints, and what its batches left of every sample."""
    torch.manual_seed(seed)
    model, recorder, checkpoints = models.digits_cnn(10), gx.Recorder(len(x)), []

    def on_batch(indices: torch.Tensor, logits: torch.Tensor) -> None:
        labels = torch.from_numpy(y[indices.numpy()])
        losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        recorder.add(indices, losses=losses, logits=logits, labels=labels)

    def on_epoch(epoch: int) -> None:
        recorder.epoch(epoch)
        if epoch in kept(epochs):
            checkpoints.append(copy.deepcopy(model.state_dict()))

    train(
        model,
        x,
        y,
        epochs=epochs,
        lr=LR,
        batch_size=BATCH_SIZE,
        seed=seed,
        on_batch=on_batch,
        on_epoch=on_epoch,
    )
    return model, checkpoints, recorder
