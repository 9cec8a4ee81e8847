"""The model of the demo: a small network that memorises its labels, also wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax
import numpy as np

from gexcore.backend.batches import training_order
from gexcore.backend.optimizer import Optimizer
from gexcore_jax.backend import JaxBackend

WIDTHS = (128, 128)
BATCH_SIZE = 32
LR = 0.03
EPOCHS = 300
MEMORISED = 0.1

Params = list[tuple[Any, Any]]


def mlp(params: Params, x: Any) -> jax.Array:
    """Scores of a multilayer perceptron, (b, features) to (b, classes)."""
    for weight, bias in params[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    weight, bias = params[-1]
    scores: jax.Array = x @ weight + bias
    return scores


def train(
    x: Any, y: Any, *, classes: int, seed: int
) -> tuple[Callable[[Params, Any], jax.Array], Params]:
    """A multilayer perceptron, as (apply, params), that predicts every given label.

    Parameters
    ----------
    x : array, shape (n, …)
        Inputs of about unit size.
    y : array of int, shape (n,)
    classes : int
    seed : int
        Equal seeds give equal models.

    Returns
    -------
    (apply, params)
        Model in float32. SGD with momentum trains it until no loss of an epoch is above
        `MEMORISED`, or for `EPOCHS` epochs.
    """
    x, y = np.asarray(x, np.float32).reshape(len(x), -1), np.asarray(y)
    rng = np.random.default_rng(seed)
    params = [
        (rng.normal(0, np.sqrt(2 / a), (a, b)).astype(np.float32), np.zeros(b, np.float32))
        for a, b in pairwise((x.shape[1], *WIDTHS, classes))
    ]
    backend = JaxBackend((mlp, params), optimizer=Optimizer(momentum=0.9))
    state = backend.copy(backend.initial_state())
    batch_size = min(BATCH_SIZE, len(x))
    batches = training_order(len(x), batch_size, seed=seed, chain=0)
    for _ in range(EPOCHS):
        losses = []
        for _ in range(len(x) // batch_size):
            indices, noise = next(batches)
            state, seen = backend.sgd_step_(state, (x[indices], y[indices]), lr=LR, seed=noise)
            losses.append(seen)
        # once an epoch, because reading a loss waits for the step
        if max(float(np.max(seen)) for seen in losses) < MEMORISED:
            break
    return mlp, state.params
