"""Targets drawn from the model's own predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gexcore.backend.data import to_numpy
from gexcore.backend.drawing import DRAWABLE, not_drawable, sample_targets
from gexcore_jax.data import Call
from gexcore_jax.losses import IGNORED


def with_drawn_target(call: Call, loss: object, logits: Callable[[], Any], seed: int) -> Call:
    """The batch with targets from the model's predictions; positions that do not count stay so.

    Parameters
    ----------
    call : Call
        Its target fits the predictions.
    loss : object
        As the user gave it: only of a named likelihood can targets be drawn.
    logits : callable
        Returns scores of shape (b, K) or (b, …, K), or for squared error the predictions.
    seed : int

    Raises
    ------
    InvalidSettingError
        For other losses than cross-entropy and squared error.
    """
    if loss not in DRAWABLE:
        raise not_drawable(loss)
    scores = to_numpy(logits())
    if loss == "squared_error":
        return call._replace(target=sample_targets(scores, seed=seed, squared_error=True))
    labels = sample_targets(scores.reshape(-1, scores.shape[-1]), seed=seed).reshape(
        scores.shape[:-1]
    )
    target = to_numpy(call.target)
    # probabilities have one axis more
    return call._replace(
        target=np.where(target == IGNORED, target, labels) if target.ndim == labels.ndim else labels
    )
