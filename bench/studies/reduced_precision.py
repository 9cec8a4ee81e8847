"""Scores members in bfloat16, and times it and channels-last, in PyTorch on the CPU.

    python -m bench.studies.reduced_precision

A small convolutional net with BatchNorm on scikit-learn's digits, one label in ten drawn anew. The
members of `GEX` are made in float32; their losses are taken in float32 and under bfloat16 autocast.
Times are of a forward pass by hand over a batch of 128, for the nets of `bench/nets`: one thread,
CPU time, all in every round, ratios to float32.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score
from torch import nn
from torch.nn import functional as F

import gexcore as gx
from bench.nets import case, on_torch
from gexcore.evaluation.timing import compare, interleaved, on_host
from gexcore_torch.backend import TorchBackend

ROUNDS, EPOCHS, SNAPSHOTS = 9, 15, 8


class Bfloat16(TorchBackend):
    """Evaluates under autocast."""

    def forward_many(self, stacked: Any, batch: Any, /) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().forward_many(stacked, batch)


def digits(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, labels, and which of these were drawn anew."""
    x, y = load_digits(return_X_y=True)
    drawn = rng.random(len(y)) < 0.1
    labels = np.where(drawn, rng.integers(0, 10, len(y)), y)
    return (x / 16).astype(np.float32).reshape(-1, 1, 8, 8), labels, labels != y


def trained(x: np.ndarray, y: np.ndarray) -> nn.Module:
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(y)).split(64):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs[chosen]), labels[chosen]).backward()
            optimizer.step()
    return model


def ranking(seed: int) -> None:
    torch.manual_seed(seed)
    x, y, wrong = digits(np.random.default_rng(seed))
    model = trained(x, y)
    found = gx.GEX(lr=0.05, snapshots=SNAPSHOTS, seed=seed).fit(
        TorchBackend(model), (x, y), progress=False
    )
    tables = [
        members.evaluate((x, y))
        for members in (found.members, dataclasses.replace(found.members, backend=Bfloat16(model)))
    ]
    scores = [table.self_influence() for table in tables]
    ranks = [score.argsort().argsort() for score in scores]
    top = [set(np.argsort(-score)[: len(y) // 20]) for score in scores]
    single, half = (average_precision_score(wrong, score) for score in scores)
    print(
        f"seed {seed}: rank correlation {np.corrcoef(*ranks)[0, 1]:.2f}, "
        f"{len(top[0] & top[1]) / len(top[0]):.2f} of the top 5 % the same, average precision "
        f"{single:.2f} in float32 and {half:.2f} in bfloat16"
    )


def times() -> None:
    for net in on_torch.cases():

        def half(forward: Any = net.forward) -> Any:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return forward().float()

        tell(net.name, {"float32": net.forward, "bfloat16": half})
    model, x = (
        on_torch.convolutional().eval(),
        torch.from_numpy(case.images().transpose(0, 3, 1, 2).copy()),
    )
    last, laid = (
        on_torch.convolutional().eval().to(memory_format=torch.channels_last),
        torch.channels_last,
    )
    works = {"float32": (model, x), "channels-last": (last, x.contiguous(memory_format=laid))}
    with torch.no_grad():
        tell(
            "conv + BatchNorm",
            {name: lambda net=net, x=x: net(x) for name, (net, x) in works.items()},
        )


def tell(name: str, works: dict[str, Any]) -> None:
    timed = interleaved({kind: on_host(work) for kind, work in works.items()}, repeats=ROUNDS)
    cost = compare(timed, samples=128, reference="float32")[1]
    print(f"{name}, {cost.name}: {cost.ratio:.2f} ({cost.low:.2f} – {cost.high:.2f})", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    times()
    for number in range(3):
        ranking(number)
