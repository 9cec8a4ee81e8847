"""Scores that need the training itself: EL2N and forgetting events, recorded along one training."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F


class Recorded(NamedTuple):
    """What a training tells about its samples.

    Parameters
    ----------
    el2n : array, shape (samples,)
        ‖p − y‖ in evaluation mode after an early epoch (Paul et al. 2021).
    forgetting : array, shape (samples,)
        How often a sample was predicted rightly at one presentation and wrongly at the next;
        samples that were never learnt have the number of presentations (Toneva et al. 2019).
    """

    el2n: np.ndarray
    forgetting: np.ndarray


def record(
    build: Callable[[], torch.nn.Module],
    x: np.ndarray,
    labels: np.ndarray,
    *,
    epochs: int,
    early: int,
    lr: float,
    batch_size: int,
    seeds: range,
) -> Recorded:
    """Means over trainings as `models.train` does them, one for each seed."""
    runs = []
    for seed in seeds:
        torch.manual_seed(seed)
        runs.append(_one(build(), x, labels, epochs, early, lr, batch_size, seed))
    return Recorded(*(np.mean(column, axis=0) for column in zip(*runs, strict=True)))


def _one(
    model: torch.nn.Module,
    x: np.ndarray,
    labels: np.ndarray,
    epochs: int,
    early: int,
    lr: float,
    batch_size: int,
    seed: int,
) -> Recorded:
    inputs, targets, n = torch.from_numpy(x), torch.from_numpy(labels), len(x)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * (n // batch_size))
    order = torch.Generator().manual_seed(seed)
    right, learnt, forgotten = (torch.zeros(n, dtype=torch.int64) for _ in range(3))
    presentations = torch.zeros(n, dtype=torch.int64)
    el2n = np.zeros(n)
    for epoch in range(epochs):
        model.train()
        for chosen in torch.randperm(n, generator=order).split(batch_size):
            if len(chosen) < batch_size:
                continue
            logits = model(inputs[chosen])
            now = (logits.argmax(1) == targets[chosen]).long()
            forgotten[chosen] += right[chosen] * (1 - now)
            right[chosen] = now
            learnt[chosen] |= now
            presentations[chosen] += 1
            optimizer.zero_grad()
            F.cross_entropy(logits, targets[chosen]).backward()
            optimizer.step()
            schedule.step()
        if epoch + 1 == min(early, epochs):
            el2n = _el2n(model, inputs, targets)
    return Recorded(el2n, torch.where(learnt > 0, forgotten, presentations).double().numpy())


def _el2n(model: torch.nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> np.ndarray:
    model.eval()
    with torch.no_grad():
        p = torch.cat([model(part) for part in inputs.split(512)]).softmax(1)
    return (p - F.one_hot(targets, p.shape[1])).norm(dim=1).double().numpy()
