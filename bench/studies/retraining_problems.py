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
from torch import nn
from torch.nn import functional as F

from bench.studies.data import flip

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
        memorised, sizes = name == "digits_memorised", (64, 64, 10)
        given, how = _noisy(y, 0.1 if memorised else 0.0), (0.15, 120) if memorised else (0.1, 40)
        return _split(name, x, y, given, 1000, 100, sizes, *how)
    if name == "mnist_cnn":
        assert folder is not None, "--data names the folder with mnist/"
        images, labels = (
            np.frombuffer(gzip.decompress((folder / f"mnist/t10k-{kind}-ubyte.gz").read_bytes()),
                          np.uint8, offset=skipped)
            for kind, skipped in (("images-idx3", 16), ("labels-idx1", 8))
        )  # fmt: skip
        small = images.reshape(-1, 1, 14, 2, 14, 2).mean(axis=(3, 5)) / 255
        order = rng.permutation(len(small))[:1100]
        x, y = small[order].astype(np.float32), labels[order].astype(np.int64)
        return _split(name, x, y, _noisy(y, 0.1), 1000, 100, (10,), 0.1, 40)
    x, y = datasets.load_diabetes(return_X_y=True)
    order = rng.permutation(len(x))
    x, y = x[order] / x.std(), ((y[order] - y.mean()) / y.std())[:, None]
    x, y = x.astype(np.float32), y.astype(np.float32)
    return _split(name, x, y, y, 342, 100, (10, 32, 1), 0.02, 40)


NAMES = ("digits_clean", "digits_memorised", "mnist_cnn", "diabetes")
CHOSEN_ON = ("digits_clean", "digits_memorised")
"""Problems on which the settings were chosen. The others are the check."""


def network(problem: Problem) -> nn.Module:
    """The network in PyTorch, as a user has it."""
    if problem.is_image:
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(),
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
    stack = {k: torch.stack([s[k] for s in single]).requires_grad_() for k in single[0]}
    velocity = {k: torch.zeros_like(v) for k, v in stack.items()}
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
            loss = _losses(problem, _forward(problem, stack, x[chosen]), y[chosen]).mean(dim=1)
            gradients = torch.autograd.grad(loss.sum(), list(stack.values()))
            lr = 0.5 * problem.lr * (1 + math.cos(math.pi * done / steps))
            with torch.no_grad():
                for (name, value), gradient in zip(stack.items(), gradients, strict=True):
                    velocity[name].mul_(MOMENTUM).add_(gradient)
                    value.sub_(lr * velocity[name])
            done += 1
        if epoch + 1 in checkpoints:
            saved.append({k: v[0].detach().clone() for k, v in stack.items()})
    return stack, saved


def _forward(problem: Problem, stack: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Outputs of every network on its own batch, shape (networks, batch, K)."""
    names = list(stack)
    if not problem.is_image:
        hidden = F.relu(torch.baddbmm(stack[names[1]][:, None], x, stack[names[0]].transpose(1, 2)))
        return torch.baddbmm(stack[names[3]][:, None], hidden, stack[names[2]].transpose(1, 2))
    hidden, count = x, len(x)
    for weight, bias in (names[:2], names[2:4]):
        batch, side = hidden.shape[1], hidden.shape[-1]
        patches = F.unfold(hidden.flatten(0, 1), 3, padding=1, stride=2)
        patches = patches.unflatten(0, (count, batch)).transpose(2, 3).flatten(1, 2)
        kernel = stack[weight].flatten(2).transpose(1, 2)
        out = F.relu(torch.baddbmm(stack[bias][:, None], patches, kernel))
        side = (side + 1) // 2
        hidden = out.unflatten(1, (batch, side, side)).permute(0, 1, 4, 2, 3)
    flat = hidden.flatten(2)
    return torch.baddbmm(stack[names[5]][:, None], flat, stack[names[4]].transpose(1, 2))


def _losses(problem: Problem, out: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    if problem.loss == "squared_error":
        return ((out - target) ** 2).sum(dim=-1)
    return F.cross_entropy(out.flatten(0, 1), target.flatten(), reduction="none").view(
        out.shape[:2]
    )


def _noisy(labels: NDArray[np.int64], rate: float) -> NDArray[np.int64]:
    return flip(labels, 10, rate, seed=0) if rate else labels


def _split(name, x, y, given, n, tests, sizes, lr, epochs):  # type: ignore[no-untyped-def]
    wrong = (given[:n] != y[:n]).reshape(n, -1).any(axis=1)
    end = n + tests
    return Problem(name, x[:n], given[:n], wrong, x[n:end], y[n:end], sizes, lr, epochs)
