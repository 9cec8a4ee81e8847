"""Targets drawn from the model's predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.drawing import not_drawable, sample_targets
from gexcore.backend.losses import IGNORED
from gexcore_tensorflow.losses import Loss, cross_entropy, squared_error


def check_drawable(loss: Loss, name: object) -> None:
    """Refuse a loss that is no named likelihood: it allows no drawing of targets.

    Parameters
    ----------
    loss : Loss
    name : object
        Loss as the user gave it.

    Raises
    ------
    InvalidSettingError
    """
    if loss.value not in (cross_entropy, squared_error):
        raise not_drawable(name)


def drawn_targets(
    loss: Loss, output: NDArray[Any], target: NDArray[Any], seed: int
) -> NDArray[Any]:
    """Targets drawn from the model's predictions. Ignored positions stay ignored.

    Parameters
    ----------
    loss : Loss
    output : array
        Scores of shape (b, …, K), or predictions for squared error.
    target : array
        Given target.
    seed : int
    """
    if loss.value is squared_error:
        return sample_targets(output, seed=seed, squared_error=True)
    labels = sample_targets(output.reshape(-1, output.shape[-1]), seed=seed).reshape(
        output.shape[:-1]
    )
    return labels if target.dtype.kind == "f" else np.where(target == IGNORED, IGNORED, labels)
