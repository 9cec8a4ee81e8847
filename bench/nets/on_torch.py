"""The models in PyTorch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nets import case
from bench.nets.case import Case
from gexcore_torch.backend import TorchBackend


class Encoder(nn.Module):
    """A transformer encoder with a classifier on the mean of its outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(case.VOCABULARY, case.WIDTH)
        self.places = nn.Parameter(torch.randn(case.LENGTH, case.WIDTH))
        block = nn.TransformerEncoderLayer(
            case.WIDTH, case.HEADS, case.HIDDEN, case.DROPOUT, batch_first=True
        )
        self.blocks = nn.TransformerEncoder(block, case.BLOCKS)
        self.head = nn.Linear(case.WIDTH, case.CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.tokens(x) + self.places).mean(1))


def dense() -> nn.Module:
    a, b, c, k = case.DENSE
    return nn.Sequential(nn.Linear(a, b), nn.ReLU(), nn.Linear(b, c), nn.ReLU(), nn.Linear(c, k))


def convolutional() -> nn.Module:
    a, b = case.CHANNELS
    return nn.Sequential(
        nn.Conv2d(1, a, 3, stride=2, padding=1), nn.BatchNorm2d(a), nn.ReLU(),
        nn.Conv2d(a, b, 3, stride=2, padding=1), nn.BatchNorm2d(b), nn.ReLU(),
        nn.Flatten(), nn.Linear(b * 49, case.CLASSES),
    )  # fmt: skip


def cases() -> Iterator[Case]:
    torch.manual_seed(0)
    pixels = case.images().transpose(0, 3, 1, 2).copy()
    for name, model, x in (
        ("dense", dense(), case.vectors()),
        ("conv + BatchNorm", convolutional(), pixels),
        ("transformer encoder", Encoder(), case.tokens()),
    ):
        yield by_hand(name, model, x)


def by_hand(name: str, model: nn.Module, inputs: np.ndarray) -> Case:
    backend = TorchBackend(model)
    x, y = torch.from_numpy(inputs), torch.from_numpy(case.labels())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)

    def forward() -> Tensor:
        model.eval()
        with torch.no_grad():
            return F.cross_entropy(model(x), y, reduction="none")

    def step() -> float:
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return Case(name, backend, (x, y), forward, step)
