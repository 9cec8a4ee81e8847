"""The problems of the study, and their models as a user would have them: trained long, or stopped
early."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

import gexcore as gx
from bench.studies import data, models


class Problem(NamedTuple):
    """A dataset, a model, and trainings that memorise it or stop before."""

    load: Callable[..., data.Noisy]
    model: Callable[[int], torch.nn.Module]
    epochs: dict[str, int]
    lr: dict[str, float]
    batch_size: int


class Cell(NamedTuple):
    """One model to be trained."""

    data: str
    optimizer: str
    fit: str
    noise: str
    seed: int


class Trained(NamedTuple):
    """A model, the seconds of CPU that its training took, and EL2N of that training, shape
    (samples,)."""

    model: torch.nn.Module
    seconds: float
    el2n: NDArray[np.float64]


PROBLEMS = {
    "mnist": Problem(
        data.mnist,
        models.digits_cnn,
        {"memorised": 25, "early": 3},
        {"sgd": 0.1, "adamw": 2e-3},
        batch_size=128,
    ),
    "cifar": Problem(
        data.cifar,
        models.resnet8,
        {"memorised": 40, "early": 6},
        {"sgd": 0.1, "adamw": 2e-3},
        batch_size=64,
    ),
    "trec": Problem(
        data.trec,
        models.EmbeddingBag,
        {"memorised": 40, "early": 6},
        {"sgd": 0.5, "adamw": 2e-3},
        batch_size=32,
    ),
}
FLIPPED: dict[str, dict[str, Any]] = {
    rate: {"rate": float(rate)} for rate in ("0", "0.02", "0.1", "0.3")
}
NOISE = {
    **FLIPPED,
    "pair": {"rate": 0.2, "pair": True},
    **{kind: {"labels": kind} for kind in ("aggre", "worse")},
}
EARLY = 10
"""EL2N is the mean over so many first epochs, as in `default_on_small_data`."""


def train(
    model: nn.Module,
    x: np.ndarray,
    labels: np.ndarray,
    *,
    epochs: int,
    lr: float,
    batch_size: int,
    seed: int,
    optimizer: str = "sgd",
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
    on_batch: Callable[[torch.Tensor, torch.Tensor], object] = lambda indices, logits: None,
    on_epoch: Callable[[int], object] = lambda epoch: None,
) -> nn.Module:
    """SGD with momentum 0.9, or AdamW, and a cosine schedule to 0: long enough, it memorises.

    `augment` changes the inputs of every batch.
    `on_batch` is told the positions and the logits of every batch, `on_epoch` the number of every
    epoch from 1.
    """
    inputs, targets = torch.from_numpy(x), torch.from_numpy(labels)
    kinds: dict[str, Any] = {
        "sgd": partial(torch.optim.SGD, momentum=0.9),
        "adamw": torch.optim.AdamW,
    }
    stepper = kinds[optimizer](model.parameters(), lr=lr)
    steps = epochs * (len(x) // batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(stepper, steps)
    order = torch.Generator().manual_seed(seed)
    model.train()
    for epoch in range(1, epochs + 1):
        for chosen in torch.randperm(len(x), generator=order).split(batch_size):
            if len(chosen) < batch_size:
                continue
            stepper.zero_grad()
            batch = inputs[chosen]
            logits = model(batch if augment is None else augment(batch))
            on_batch(chosen, logits.detach())
            F.cross_entropy(logits, targets[chosen]).backward()
            stepper.step()
            schedule.step()
        on_epoch(epoch)
    return model.eval()


@lru_cache(maxsize=1)
def load(cell: Cell, folder: Path) -> data.Noisy:
    """The cell's data with its noise."""
    return PROBLEMS[cell.data].load(folder, cell.seed, **NOISE[cell.noise])


def epochs(cell: Cell) -> int:
    """How long its training is."""
    return PROBLEMS[cell.data].epochs[cell.fit]


def train_cell(
    cell: Cell, x: NDArray[Any], y: NDArray[Any], classes: int, *, seed: int, **told: Any
) -> torch.nn.Module:
    """The training of the cell on any data."""
    problem = PROBLEMS[cell.data]
    torch.manual_seed(seed)
    how = {"epochs": epochs(cell), "lr": problem.lr[cell.optimizer], "optimizer": cell.optimizer}
    return train(
        problem.model(classes), x, y, batch_size=problem.batch_size, seed=seed, **how, **told
    )


def trained(cell: Cell, folder: Path, cache: Path | None = None) -> Trained:
    """The cell's model, read from `cache` where an earlier run has left it there."""
    file = None if cache is None else cache / ("-".join(map(str, cell)) + ".pt")
    if file is not None and file.exists():
        stored = torch.load(file, weights_only=True)
        model = PROBLEMS[cell.data].model(load(cell, folder).classes)
        model.load_state_dict(stored["model"])
        return Trained(model.eval(), stored["seconds"], stored["el2n"].numpy())
    new = _train(cell, folder)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(
            {
                "model": new.model.state_dict(),
                "seconds": new.seconds,
                "el2n": torch.from_numpy(new.el2n),
            },
            file,
        )
    return new


def _train(cell: Cell, folder: Path) -> Trained:
    x, y, _, classes = load(cell, folder)
    recorder, epoch = gx.Recorder(samples=len(y)), 0

    def seen(indices: torch.Tensor, logits: torch.Tensor) -> None:
        if epoch < EARLY:
            recorder.add(indices.numpy(), logits=logits.numpy(), labels=y[indices.numpy()])

    def ended(number: int) -> None:
        nonlocal epoch
        if epoch < EARLY:
            recorder.epoch(epoch)
        epoch = number

    started = time.process_time()
    model = train_cell(cell, x, y, classes, seed=cell.seed, on_batch=seen, on_epoch=ended)
    seconds = time.process_time() - started
    by_epoch = [
        gx.EL2N(recorder=recorder, epoch=e).fit().values for e in range(min(EARLY, epochs(cell)))
    ]
    return Trained(
        model, seconds, np.nan_to_num(np.nanmean(by_epoch, axis=0))
    )  # a batch that is not full is left out
