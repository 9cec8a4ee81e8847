"""Scores of a few lines of PyTorch."""

from __future__ import annotations

from typing import Any

import torch

from bench.peers.case import Case, per_sample

REPEATS, EARLY = 3, 5


def loss(case: Case) -> Any:
    with torch.no_grad():
        return per_sample(case.model()(case.x), case.y)


def mean_loss(case: Case) -> Any:
    model, total = case.model(), torch.zeros(len(case.y))
    with torch.no_grad():
        for checkpoint in case.checkpoints:
            model.load_state_dict(torch.load(checkpoint, weights_only=True))
            total += per_sample(model(case.x), case.y)
    return total


def el2n(case: Case) -> Any:
    total = torch.zeros(len(case.y))
    for seed in range(100, 100 + REPEATS):
        epochs = max(1, case.training.epochs // EARLY)
        model = case.trained(case.fresh(seed), case.x, case.y, epochs=epochs, seed=seed)
        with torch.no_grad():
            errors = model(case.x).softmax(1)
        errors[torch.arange(len(case.y)), case.y] -= 1
        total += errors.norm(dim=1)
    return total


METHODS = {
    "plain loss": loss,
    "mean loss of 5 checkpoints": mean_loss,
    "EL2N, 3 runs to 1/5 of the training": el2n,
}
