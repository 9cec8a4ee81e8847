"""Targets drawn from the model's predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gexcore.backend.data import to_numpy
from gexcore.backend.drawing import DRAWABLE, not_drawable, sample_targets
from gexcore.backend.losses import IGNORED
from gexcore_jax.data import Call


def with_drawn_target(call: Call, loss: object, logits: Callable[[], Any], seed: int) -> Call:
    """The batch with targets from the model's predictions. Ignored positions stay ignored.

    Parameters
    ----------
    call : Call
        Batch whose target fits the predictions.
    loss : object
        Loss as the user gave it. Only a named likelihood allows drawing.
    logits : callable
        Function that returns scores of shape (b, K) or (b, …, K), or predictions for squared error.
    seed : int

    Raises
    ------
    InvalidSettingError
        If the loss is neither cross-entropy nor squared error.
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
    # probabilities have one more axis
    return call._replace(
        target=np.where(target == IGNORED, target, labels) if target.ndim == labels.ndim else labels
    )
