"""Many trainings of the networks of `retraining`.

Small networks of a batch are one stack of arrays, so that a hundred trainings take about a minute.
Others train one after another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from bench.studies.retraining_problems import Problem, network

Floats = NDArray[np.float64]
BATCH_SIZE, MOMENTUM = 32, 0.9
STACKED = 24_000_000
"""Parameters of a stack, at the most."""


def trained(
    problem: Problem,
    subsets: Sequence[NDArray[np.intp]],
    seeds: Sequence[int],
    *,
    checkpoints: Sequence[int] = (),
) -> tuple[Floats, list[dict[str, torch.Tensor]], list[dict[str, torch.Tensor]]]:
    """Train on each subset with its seed: test losses, parameters, and checkpoints of the first."""
    if not problem.stacks:
        return _one_by_one(problem, subsets, seeds, checkpoints)
    losses, states, kept = [], [], []
    parameters = sum(v.numel() for v in network(problem).parameters())
    at_once = max(1, min(80, STACKED // parameters))
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


def _one_by_one(problem, subsets, seeds, checkpoints):  # type: ignore[no-untyped-def]
    losses, states, kept = [], [], []
    x, y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
    for subset, seed in zip(subsets, seeds, strict=True):
        torch.manual_seed(int(seed))
        net, rng = network(problem), np.random.default_rng([seed, 7])
        optimizer = torch.optim.SGD(
            net.parameters(), lr=problem.lr, momentum=MOMENTUM, weight_decay=problem.decay
        )
        per_epoch = max(1, len(subset) // BATCH_SIZE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, problem.epochs * per_epoch)
        for epoch in range(problem.epochs):
            order = subset[rng.permutation(len(subset))]
            for batch in range(per_epoch):
                chosen = torch.from_numpy(order[batch * BATCH_SIZE : (batch + 1) * BATCH_SIZE])
                optimizer.zero_grad()
                F.cross_entropy(net(x[chosen]), y[chosen]).backward()
                optimizer.step()
                schedule.step()
            if epoch + 1 in checkpoints:
                kept.append({k: v.clone() for k, v in net.state_dict().items()})
        net.eval()
        with torch.no_grad():
            out = net(torch.from_numpy(problem.test_x))
            target = torch.from_numpy(problem.test_y)
            losses.append(F.cross_entropy(out, target, reduction="none").double().numpy())
        states.append({k: v.clone() for k, v in net.state_dict().items()})
    return np.stack(losses), states, kept
