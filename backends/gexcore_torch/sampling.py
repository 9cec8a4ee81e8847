"""Targets drawn from the model's own predictions."""

from __future__ import annotations

import torch
from torch import Tensor

from gexcore.backend.data import to_numpy
from gexcore.backend.drawing import DRAWABLE, not_drawable, sample_targets
from gexcore_torch.data import full
from gexcore_torch.losses import IGNORED, Loss


def with_drawn_targets(loss: Loss, name: object, seed: int) -> Loss:
    """The loss for targets drawn from the model's predictions, whatever the given ones.

    Parameters
    ----------
    loss : callable
    name : object
        As the user gave it: only of a named likelihood can targets be drawn.
    seed : int

    Raises
    ------
    InvalidSettingError
        For other losses than cross-entropy and squared error.
    """
    if name not in DRAWABLE:
        raise not_drawable(name)

    def drawn(output: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            loss(output, target)  # refuses, in its own words, what it cannot compare
        scores = full(output.detach())
        if name == "squared_error":
            sampled = sample_targets(to_numpy(scores), seed=seed, squared_error=True)
            return loss(output, torch.from_numpy(sampled).to(output.device))
        # classes last, as they are in (b, t, K) but not in (b, K, h, w, …)
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
