"""The problems of `retraining`, and many trainings of small networks at a time.

All networks of a batch are one stack of arrays, so that a hundred trainings take about a minute.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import nn
from torch.nn import functional as F

from bench.studies.data import flip, questions

Floats = NDArray[np.float64]
BATCH_SIZE, MOMENTUM = 32, 0.9


class Problem(NamedTuple):
    """Training and test samples, and how a network is trained on them."""

    name: str
    x: NDArray[np.float32]
    y: NDArray[np.generic]
    wrong: NDArray[np.bool_]
    test_x: NDArray[np.float32]
    test_y: NDArray[np.generic]
    sizes: tuple[int, ...]
    lr: float
    epochs: int
    decay: float = 0.0
    normalised: bool = False

    @property
    def loss(self) -> str:
        """Name of the loss."""
        return "cross_entropy" if self.y.dtype.kind == "i" else "squared_error"

    @property
    def is_image(self) -> bool:
        """Whether the network is a small CNN."""
        return self.x.ndim == 4


def load(name: str, folder: Path | None) -> Problem:
    """One of `NAMES`. MNIST needs the folder of the data."""
    rng = np.random.default_rng(0)
    if name.startswith("digits"):
        images, labels = datasets.load_digits(return_X_y=True)
        order = rng.permutation(len(images))
        x, y = (images[order] / 16).astype(np.float32), labels[order].astype(np.int64)
        memorised, sizes = "memorised" in name, (64, 64, 10)
        given, how = _noisy(y, 0.1 if memorised else 0.0), (0.15, 120) if memorised else (0.1, 40)
        if name.endswith("decay"):
            how = (0.05, how[1], 5e-4)
        return _split(name, x, y, given, 1000, 100, sizes, *how)
    if name == "diabetes":
        x, y = datasets.load_diabetes(return_X_y=True)
        order = rng.permutation(len(x))
        x, y = x[order] / x.std(), ((y[order] - y.mean()) / y.std())[:, None]
        x, y = x.astype(np.float32), y.astype(np.float32)
        return _split(name, x, y, y, 342, 100, (10, 32, 1), 0.02, 40)
    assert folder is not None, "--data names the folder with mnist/ and text/"
    if name == "trec_words":
        texts, y = questions(folder)
        order = rng.permutation(len(texts))[:1600]
        chosen, y = [texts[i] for i in order], y[order]
        x = TfidfVectorizer(max_features=2000).fit_transform(chosen).toarray().astype(np.float32)
        return _split(name, x, y, _noisy(y, 0.1, 6), 1500, 100, (2000, 32, 6), 0.2, 30)
    images, labels = (
        np.frombuffer(gzip.decompress((folder / f"mnist/t10k-{kind}-ubyte.gz").read_bytes()),
                      np.uint8, offset=skipped)
        for kind, skipped in (("images-idx3", 16), ("labels-idx1", 8))
    )  # fmt: skip
    if name == "mnist_5000":
        order = rng.permutation(len(labels))[:5100]
        x = (images.reshape(-1, 784)[order] / 255).astype(np.float32)
        y = labels[order].astype(np.int64)
        return _split(name, x, y, _noisy(y, 0.1), 5000, 100, (784, 128, 10), 0.05, 20)
    small = images.reshape(-1, 1, 14, 2, 14, 2).mean(axis=(3, 5)) / 255
    order = rng.permutation(len(small))[:1100]
    x, y = small[order].astype(np.float32), labels[order].astype(np.int64)
    found = _split(name, x, y, _noisy(y, 0.1), 1000, 100, (10,), 0.1, 40)
    return found._replace(normalised=name == "mnist_batchnorm")


CHOSEN_ON = ("digits_clean", "digits_memorised", "digits_clean_decay", "digits_memorised_decay")
"""Problems on which the settings were chosen. The others are the check."""

NAMES = (*CHOSEN_ON, "mnist_cnn", "diabetes", "mnist_batchnorm", "trec_words", "mnist_5000")


def network(problem: Problem) -> nn.Module:
    """The network in PyTorch, as a user has it."""
    if problem.is_image:
        norms = [[nn.BatchNorm2d(size)] if problem.normalised else [] for size in (8, 16)]
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, 2, 1), *norms[0], nn.ReLU(),
            nn.Conv2d(8, 16, 3, 2, 1), *norms[1], nn.ReLU(),
            nn.Flatten(), nn.Linear(256, 10),
        )  # fmt: skip
    first, hidden, last = problem.sizes
    return nn.Sequential(nn.Linear(first, hidden), nn.ReLU(), nn.Linear(hidden, last))


def trained(
    problem: Problem,
    subsets: Sequence[NDArray[np.intp]],
    seeds: Sequence[int],
    *,
    at_once: int = 80,
    checkpoints: Sequence[int] = (),
) -> tuple[Floats, list[dict[str, torch.Tensor]], list[dict[str, torch.Tensor]]]:
    """Train on each subset with its seed: test losses, parameters, and checkpoints of the first."""
    losses, states, kept = [], [], []
    for start in range(0, len(subsets), at_once):
        part = slice(start, start + at_once)
        stack, saved = _train(problem, subsets[part], seeds[part], checkpoints)
        with torch.no_grad():
            count = len(subsets[part])
            tests = torch.from_numpy(problem.test_x).expand(count, *problem.test_x.shape)
            target = torch.from_numpy(problem.test_y)
            out = _forward(problem, stack, tests)
            losses.append(
                _losses(problem, out, target.expand(count, *target.shape)).double().numpy()
            )
        states += [{k: v[i].detach().clone() for k, v in stack.items()} for i in range(count)]
        kept += saved
    return np.concatenate(losses), states, kept


def _train(problem, subsets, seeds, checkpoints):  # type: ignore[no-untyped-def]
    size = min(map(len, subsets))
    single = []
    for seed in seeds:
        torch.manual_seed(seed)
        single.append(network(problem).state_dict())
    stack = {k: torch.stack([s[k] for s in single]) for k in single[0]}
    moved = {
        k: v.requires_grad_() for k, v in stack.items() if "running" not in k and "tracked" not in k
    }
    velocity = {k: torch.zeros_like(v) for k, v in moved.items()}
    x, y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
    orders = [np.random.default_rng([seed, 7]) for seed in seeds]
    per_epoch = max(1, size // BATCH_SIZE)
    done, steps, saved = 0, problem.epochs * per_epoch, []
    for epoch in range(problem.epochs):
        epochs = np.stack(
            [
                subset[rng.permutation(len(subset))[:size]]
                for subset, rng in zip(subsets, orders, strict=True)
            ]
        )
        for batch in range(per_epoch):
            chosen = torch.from_numpy(epochs[:, batch * BATCH_SIZE : (batch + 1) * BATCH_SIZE])
            out = _forward(problem, stack, x[chosen], training=True)
            loss = _losses(problem, out, y[chosen]).mean(dim=1)
            gradients = torch.autograd.grad(loss.sum(), list(moved.values()))
            lr = 0.5 * problem.lr * (1 + math.cos(math.pi * done / steps))
            with torch.no_grad():
                for (name, value), gradient in zip(moved.items(), gradients, strict=True):
                    pull = gradient + problem.decay * value
                    velocity[name].mul_(MOMENTUM).add_(pull)
                    value.sub_(lr * velocity[name])
            done += 1
        if epoch + 1 in checkpoints:
            saved.append({k: v[0].detach().clone() for k, v in stack.items()})
    return stack, saved


def _forward(
    problem: Problem, stack: dict[str, torch.Tensor], x: torch.Tensor, *, training: bool = False
) -> torch.Tensor:
    """Outputs of every network on its own batch, shape (networks, batch, K)."""
    if not problem.is_image:
        hidden = F.relu(_linear(stack, "0", x))
        return _linear(stack, "2", hidden)
    hidden, count = x, len(x)
    step = 3 if problem.normalised else 2
    for layer in (0, step):
        batch, side = hidden.shape[1], hidden.shape[-1]
        patches = F.unfold(hidden.flatten(0, 1), 3, padding=1, stride=2)
        patches = patches.unflatten(0, (count, batch)).transpose(2, 3).flatten(1, 2)
        kernel = stack[f"{layer}.weight"].flatten(2).transpose(1, 2)
        out = torch.baddbmm(stack[f"{layer}.bias"][:, None], patches, kernel)
        if problem.normalised:
            out = _normalised(stack, f"{layer + 1}", out, training=training)
        side = (side + 1) // 2
        hidden = F.relu(out).unflatten(1, (batch, side, side)).permute(0, 1, 4, 2, 3)
    return _linear(stack, f"{2 * step + 1}", hidden.flatten(2))


def _linear(stack: dict[str, torch.Tensor], layer: str, x: torch.Tensor) -> torch.Tensor:
    weight, bias = stack[f"{layer}.weight"], stack[f"{layer}.bias"]
    return torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))


def _normalised(
    stack: dict[str, torch.Tensor], layer: str, x: torch.Tensor, *, training: bool
) -> torch.Tensor:
    """Batch normalisation of each network, shape (networks, positions, channels)."""
    means, variances = stack[f"{layer}.running_mean"], stack[f"{layer}.running_var"]
    mean, variance = means, variances
    if training:
        mean, variance = x.mean(dim=1), x.var(dim=1, correction=0)
        size = x.shape[1]
        with torch.no_grad():
            means.lerp_(mean, 0.1)
            variances.lerp_(variance * size / (size - 1), 0.1)
    weight, bias = stack[f"{layer}.weight"], stack[f"{layer}.bias"]
    scale = weight / torch.sqrt(variance + 1e-5)
    return (x - mean[:, None]) * scale[:, None] + bias[:, None]


def _losses(problem: Problem, out: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    if problem.loss == "squared_error":
        return ((out - target) ** 2).sum(dim=-1)
    return F.cross_entropy(out.flatten(0, 1), target.flatten(), reduction="none").view(
        out.shape[:2]
    )


def _noisy(labels: NDArray[np.int64], rate: float, classes: int = 10) -> NDArray[np.int64]:
    return flip(labels, classes, rate, seed=0) if rate else labels


def _split(name, x, y, given, n, tests, sizes, lr, epochs, decay=0.0):  # type: ignore[no-untyped-def]
    wrong = (given[:n] != y[:n]).reshape(n, -1).any(axis=1)
    end = n + tests
    return Problem(name, x[:n], given[:n], wrong, x[n:end], y[n:end], sizes, lr, epochs, decay)
