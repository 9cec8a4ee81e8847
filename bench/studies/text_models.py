"""A small text encoder in PyTorch, and its adapters, for the study of references."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from bench.studies.models import Average


class Tokens(nn.Module):
    """Embeddings of tokens and of their places."""

    def __init__(self, vocabulary: int, length: int, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(0.02 * torch.randn(length, width))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.embed(tokens) + self.places


class Layer(nn.Module):
    """A layer of a transformer, without dropout."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        samples, length, width = x.shape
        parts = self.attend(self.first(x)).view(samples, length, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(query, key, value)
        x = x + self.mix(found.transpose(1, 2).reshape(samples, length, width))
        return x + self.down(F.gelu(self.up(self.second(x))))


def text_encoder(
    classes: int, *, vocabulary: int, length: int, width: int = 64, layers: int = 2
) -> nn.Sequential:
    """A transformer of two layers over tokens, the mean of its outputs, and a head."""
    return nn.Sequential(
        Tokens(vocabulary, length, width), *(Layer(width) for _ in range(layers)),
        nn.LayerNorm(width), Average(), nn.Linear(width, classes),
    )  # fmt: skip


class Adapted(nn.Module):
    """A frozen linear layer with an adapter of low rank (LoRA), which starts at zero."""

    def __init__(self, layer: nn.Linear, rank: int = 8) -> None:
        super().__init__()
        self.layer = layer
        self.enter = nn.Linear(layer.in_features, rank, bias=False)
        self.leave = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.zeros_(self.leave.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) + self.leave(self.enter(x))


def with_adapters(encoder: nn.Sequential) -> nn.Sequential:
    """The encoder, frozen but for its head, with adapters in every layer."""
    encoder.requires_grad_(False)
    for layer in encoder:
        if isinstance(layer, Layer):
            for name in ("attend", "mix", "up", "down"):
                setattr(layer, name, Adapted(getattr(layer, name)))
    encoder[-1].requires_grad_(True)
    return encoder
