"""Targets drawn from the model's predictions."""

from __future__ import annotations

import torch
from torch import Tensor

from gexcore.backend.data import to_numpy
from gexcore.backend.drawing import DRAWABLE, not_drawable, sample_targets
from gexcore.backend.losses import IGNORED
from gexcore_torch.data import full
from gexcore_torch.losses import Loss


def with_drawn_targets(loss: Loss, name: object, seed: int) -> Loss:
    """The loss for targets drawn from the model's predictions, in place of the given ones.

    Parameters
    ----------
    loss : callable
    name : object
        Loss as the user gave it. Only a named likelihood allows drawing.
    seed : int

    Raises
    ------
    InvalidSettingError
        If the loss is neither cross-entropy nor squared error.
    """
    if name not in DRAWABLE:
        raise not_drawable(name)

    def drawn(output: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            loss(output, target)  # this raises the error for targets that do not fit
        scores = full(output.detach())
        if name == "squared_error":
            sampled = sample_targets(to_numpy(scores), seed=seed, squared_error=True)
            return loss(output, torch.from_numpy(sampled).to(output.device))
        # classes last, as in (b, t, K), but not in (b, K, h, w, …)
        last = (
            scores.ndim == 3 and target.shape == scores.shape[:2] and not target.is_floating_point()
        )
        rows = scores if last else scores.movedim(1, -1)
        sampled = sample_targets(to_numpy(rows.reshape(-1, rows.shape[-1])), seed=seed)
        labels = torch.from_numpy(sampled).reshape(rows.shape[:-1]).to(output.device)
        return loss(
            output,
            labels if target.is_floating_point() else labels.where(target != IGNORED, IGNORED),
        )

    return drawn
