"""The nets of the paper in PyTorch: the published structure at any width."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gexcore_torch.state import TorchState


def vgg_b(
    classes: int, *, colours: int = 1, width: int = 64, hidden: int = 4096, side: int = 32
) -> nn.Module:
    """VGG-B with BatchNorm after each of its ten convolutions, as torchvision's vgg13_bn."""
    layers: list[nn.Module] = []
    channels = colours
    for times in (1, 2, 4, 8, 8):
        for _ in range(2):
            after = width * times
            layers += [nn.Conv2d(channels, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
            channels = after
        layers.append(nn.MaxPool2d(2))
    left = max(1, side // 32)
    return nn.Sequential(
        *layers, nn.Flatten(),
        nn.Linear(channels * left**2, hidden), nn.ReLU(), nn.Dropout(),
        nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(),
        nn.Linear(hidden, classes),
    )  # fmt: skip


class Block(nn.Module):
    """A residual block of ResNet-18: two convolutions with BatchNorm."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.skip: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            skip = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.skip = nn.Sequential(skip, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.norm2(self.second(F.relu(self.norm1(self.first(x)))))
        return F.relu(hidden + self.skip(x))


def resnet18(classes: int, *, colours: int = 3, width: int = 64) -> nn.Module:
    """ResNet-18 with the stem for small pictures: a 3 × 3 convolution and no pooling."""
    blocks: list[nn.Module] = []
    channels = width
    for times, stride in ((1, 1), (2, 2), (4, 2), (8, 2)):
        blocks += [Block(channels, width * times, stride), Block(width * times, width * times, 1)]
        channels = width * times
    return nn.Sequential(
        nn.Conv2d(colours, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes),
    )  # fmt: skip


class Patches(nn.Module):
    """A picture as a row of linear patches, shape (b, tokens, width)."""

    def __init__(self, colours: int, patch: int, width: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(colours, width, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        return self.embed(x).flatten(2).transpose(1, 2)


def mlp(width: int, hidden: int) -> nn.Sequential:
    """Two linear layers with GELU between."""
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class Attention(nn.Module):
    """A block of ViT: attention and a perceptron, each after a LayerNorm and around a skip."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp, self.heads = mlp(width, hidden), heads

    def forward(self, x: Tensor) -> Tensor:
        b, t, w = x.shape
        mixed = self.mix(self.norm1(x)).reshape(b, t, 3, self.heads, w // self.heads)
        q, k, v = mixed.permute(2, 0, 3, 1, 4)
        # by hand: the fused kernel has no forward-mode derivative
        weights = (q @ k.transpose(-2, -1) * (w // self.heads) ** -0.5).softmax(-1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(b, t, w))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """ViT-S/32: a class token, learnt places, twelve blocks of six heads."""

    def __init__(
        self, classes: int, *, colours: int = 3, side: int = 224, patch: int = 32,
        width: int = 384, heads: int = 6, depth: int = 12,
    ) -> None:  # fmt: skip
        super().__init__()
        self.patches = Patches(colours, patch, width)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.places = nn.Parameter(0.02 * torch.randn(1, (side // patch) ** 2 + 1, width))
        self.blocks = nn.Sequential(*(Attention(width, heads, 4 * width) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(len(x), -1, -1), self.patches(x)], dim=1)
        return self.head(self.norm(self.blocks(x + self.places))[:, 0])


class Mixing(nn.Module):
    """A block of MLP-Mixer: a perceptron over tokens, then one over channels."""

    def __init__(self, tokens: int, width: int, token_hidden: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.tokens, self.channels = mlp(tokens, token_hidden), mlp(width, hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm2(x))


class Mixer(nn.Module):
    """MLP-Mixer-S/32: eight blocks, the mean over tokens."""

    def __init__(
        self, classes: int, *, colours: int = 3, side: int = 224, patch: int = 32,
        width: int = 512, depth: int = 8,
    ) -> None:  # fmt: skip
        super().__init__()
        tokens = (side // patch) ** 2
        self.patches = Patches(colours, patch, width)
        blocks = (Mixing(tokens, width, width // 2, 4 * width) for _ in range(depth))
        self.blocks = nn.Sequential(*blocks)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.patches(x))).mean(1))


class SWEM(nn.Module):
    """The mean of word embeddings, and a perceptron on it; token 0 is padding."""

    def __init__(self, classes: int, *, vocabulary: int = 8000, width: int = 300) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width, padding_idx=0)
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, classes))

    def forward(self, tokens: Tensor) -> Tensor:
        there = (tokens != 0).to(self.words.weight.dtype)[..., None]
        mean = (self.words(tokens) * there).sum(1) / there.sum(1).clamp(min=1)
        return self.head(mean)


def two_layer(classes: int, *, features: int = 2, width: int = 200) -> nn.Module:
    """The fully connected net of the two circles."""
    return nn.Sequential(nn.Linear(features, width), nn.ReLU(), nn.Linear(width, classes))


NETS: dict[str, Any] = {
    "vgg_b": vgg_b, "resnet18": resnet18, "vit": ViT, "mixer": Mixer, "swem": SWEM,
    "two_layer": two_layer,
}  # fmt: skip


def sigmoid_loss(output: Tensor, target: Tensor) -> Tensor:
    """The multi-label loss: a sigmoid cross-entropy of each class, summed; shape (b,).

    Targets are classes, or rows of soft targets.
    """
    if not target.is_floating_point():
        target = F.one_hot(target.long(), output.shape[1]).to(output.dtype)
    return F.binary_cross_entropy_with_logits(output, target, reduction="none").sum(1)


def build(net: str, *, seed: int, **settings: Any) -> nn.Module:
    """A net with the starting weights of the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return NETS[net](**settings)


def native(model: nn.Module, state: TorchState) -> nn.Module:
    """The model at a state of its backend."""
    made = copy.deepcopy(model)
    with torch.no_grad():
        for own, value in zip(made.parameters(), state.params, strict=True):
            own.copy_(value)
        for own, value in zip(made.buffers(), state.buffers, strict=True):
            own.copy_(value)
    return made.eval()
