"""The model of the demo: a small network that memorises its labels, also wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax
import numpy as np

from gexcore.backend.memorising import MOMENTUM, WIDTHS, memorised
from gexcore_jax.backend import JaxBackend

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
        Model in float32, trained by `memorised`.
    """
    x, y = np.asarray(x, np.float32).reshape(len(x), -1), np.asarray(y)
    rng = np.random.default_rng(seed)
    params = [
        (rng.normal(0, np.sqrt(2 / a), (a, b)).astype(np.float32), np.zeros(b, np.float32))
        for a, b in pairwise((x.shape[1], *WIDTHS, classes))
    ]
    backend = JaxBackend((mlp, params), optimizer=MOMENTUM)
    state = memorised(backend, x, y, seed=seed)
    return mlp, state.params
