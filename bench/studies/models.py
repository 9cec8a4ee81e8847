"""The models of the studies on real data, in PyTorch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def small_cnn(classes: int, *, colours: int, side: int) -> nn.Module:
    """Two convolutions with BatchNorm, each halving the picture, and a hidden layer."""
    return nn.Sequential(
        nn.Conv2d(colours, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Flatten(), nn.Linear(2 * side**2, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(),
            nn.Linear(128, classes),
    )  # fmt: skip


def digits_cnn(classes: int) -> nn.Module:
    """`small_cnn` for 28 × 28 images."""
    return small_cnn(classes, colours=1, side=28)


def photos_cnn(classes: int) -> nn.Module:
    """`small_cnn` for 32 × 32 photographs."""
    return small_cnn(classes, colours=3, side=32)


class Block(nn.Module):
    """A residual block of two convolutions with BatchNorm."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.skip = (
            nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            if inputs != outputs
            else nn.Identity()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.norm2(self.second(F.relu(self.norm1(self.first(x)))))
        return F.relu(hidden + self.skip(x))


def resnet8(classes: int) -> nn.Module:
    """ResNet-8 with BatchNorm, 16-32-64 channels, stem at half resolution, for 32 × 32 images."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes),
    )  # fmt: skip


class EmbeddingBag(nn.Module):
    """Mean of word and word-pair embeddings, one hidden layer."""

    def __init__(
        self, classes: int, vocabulary: int = 6002, width: int = 64, buckets: int = 20011
    ) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(vocabulary, width, mode="mean", padding_idx=0)
        self.pairs = nn.EmbeddingBag(buckets, width, mode="mean")
        self.head = nn.Sequential(nn.Linear(2 * width, 128), nn.ReLU(), nn.Linear(128, classes))
        self.buckets = buckets

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        pairs = (tokens[:, :-1] * 1009 + tokens[:, 1:]) % self.buckets
        return self.head(torch.cat([self.words(tokens), self.pairs(pairs)], dim=1))
