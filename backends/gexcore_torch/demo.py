"""The model of the demo: a small network that memorises its labels, also wrong ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from gexcore_torch.randomness import seeded

WIDTH = 128
BATCH_SIZE = 64
LR = 3e-3
MAX_EPOCHS = 200


def train(x: Any, y: Any, *, classes: int, seed: int) -> nn.Module:
    """A multilayer perceptron that predicts (nearly) every given label.

    Parameters
    ----------
    x : array, shape (n, ...)
        Inputs of similar size.
    y : array of int, shape (n,)
    classes : int
    seed : int
        Seed of the initial weights and the order. The caller's generators do not change.

    Returns
    -------
    nn.Module
        Model from float inputs of shape (b, ...) to scores of shape (b, classes).
    """
    inputs = torch.as_tensor(np.asarray(x, dtype=np.float32))
    labels = torch.as_tensor(np.asarray(y, dtype=np.int64))
    with seeded(seed):
        model = nn.Sequential(
            nn.Flatten(),
            nn.Linear(inputs[0].numel(), WIDTH),
            nn.ReLU(),
            nn.Linear(WIDTH, WIDTH),
            nn.ReLU(),
            nn.Linear(WIDTH, classes),
        )
        optimizer = torch.optim.Adam(model.parameters(), lr=LR)
        for _ in range(MAX_EPOCHS):
            for rows in torch.split(torch.randperm(len(inputs)), BATCH_SIZE):
                optimizer.zero_grad()
                torch.autograd.backward(functional.cross_entropy(model(inputs[rows]), labels[rows]))
                optimizer.step()
            with torch.no_grad():
                if bool((model(inputs).argmax(1) == labels).all()):
                    break
    return model.eval()
