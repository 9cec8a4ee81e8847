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


class Patches(nn.Module):
    """Patches of 7 × 7 pixels of a 28 × 28 image, embedded, with their places."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, width, 7, stride=7)
        self.places = nn.Parameter(0.02 * torch.randn(16, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.embed(x).flatten(2).transpose(1, 2) + self.places


class Average(nn.Module):
    """Mean over the patches."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=1)


def digits_vit(classes: int, width: int = 48) -> nn.Module:
    """A vision transformer of two layers for 28 × 28 images, without dropout."""
    layer = nn.TransformerEncoderLayer(
        width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True
    )
    return nn.Sequential(
        Patches(width), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
        nn.LayerNorm(width), Average(), nn.Linear(width, classes),
    )  # fmt: skip


class Mixing(nn.Module):
    """A layer of an MLP-Mixer: patches are mixed, then channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.patches = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.channels = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.patches(self.first(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.second(x))


def digits_mixer(classes: int, width: int = 48) -> nn.Module:
    """An MLP-Mixer of two layers for 28 × 28 images."""
    return nn.Sequential(
        Patches(width), Mixing(width), Mixing(width), nn.LayerNorm(width), Average(),
        nn.Linear(width, classes),
    )  # fmt: skip
