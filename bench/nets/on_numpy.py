"""The dense net in NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.nets import case
from bench.nets.case import Case
from gexcore_numpy import MLP, NumpyBackend


def cases() -> Iterator[Case]:
    model = MLP.init(case.DENSE, seed=0, dtype=np.float32)
    x, y = case.vectors(), case.labels()
    params = [
        array.copy() for pair in zip(model.weights, model.biases, strict=True) for array in pair
    ]
    velocity = [np.zeros_like(array) for array in params]
    each = np.arange(len(y))

    def run() -> tuple[list[np.ndarray], np.ndarray]:
        w1, b1, w2, b2, w3, b3 = params
        first = np.maximum(x @ w1 + b1, 0)
        second = np.maximum(first @ w2 + b2, 0)
        scores = second @ w3 + b3
        scores -= scores.max(axis=1, keepdims=True)
        return [first, second], scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))

    def forward() -> np.ndarray:
        return -run()[1][each, y]

    def step() -> float:
        (first, second), log_p = run()
        at_scores = np.exp(log_p)
        at_scores[each, y] -= 1
        at_scores /= len(y)
        at_second = at_scores @ params[4].T * (second > 0)
        at_first = at_second @ params[2].T * (first > 0)
        gradient = [
            x.T @ at_first, at_first.sum(axis=0), first.T @ at_second, at_second.sum(axis=0),
            second.T @ at_scores, at_scores.sum(axis=0),
        ]  # fmt: skip
        for p, v, g in zip(params, velocity, gradient, strict=True):
            v *= 0.9
            v += g
            p -= 0.0 * v
        return float(-log_p[each, y].mean())

    yield Case("dense", NumpyBackend(model), (x, y), forward, step)
