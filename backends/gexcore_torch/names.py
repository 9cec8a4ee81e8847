"""Losses as users of PyTorch give them."""

from __future__ import annotations

import copy
import functools
import inspect
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

FUNCTIONS = {
    functional.cross_entropy: "cross_entropy",
    functional.binary_cross_entropy_with_logits: "binary_cross_entropy",
    functional.mse_loss: "squared_error",
}
"""gexcore's names of PyTorch's functions."""

MODULES = {
    nn.CrossEntropyLoss: "cross_entropy",
    nn.BCEWithLogitsLoss: "binary_cross_entropy",
    nn.MSELoss: "squared_error",
}
"""gexcore's names of PyTorch's loss modules without weights."""


def known_loss(loss: Any) -> Any:
    """The loss by gexcore's name, or without the reduction of PyTorch.

    A loss of PyTorch with a mean or a sum gives one number per sample. Any other value is returned
    as it is.
    """
    if isinstance(loss, str) or loss is None:
        return loss
    if isinstance(loss, nn.Module) and isinstance(getattr(loss, "reduction", None), str):
        if type(loss) in MODULES and _is_plain(loss):
            return MODULES[type(loss)]
        if loss.reduction == "none":
            return loss
        summed = loss.reduction == "sum"
        single: Any = copy.copy(loss)
        single.reduction = "none"
        return PerSample(single, summed=summed)
    if getattr(loss, "__module__", "") != functional.__name__:
        return loss
    if loss in FUNCTIONS:
        return FUNCTIONS[loss]
    if "reduction" in inspect.signature(loss).parameters:
        return PerSample(functools.partial(loss, reduction="none"), summed=False)
    return loss


class PerSample(nn.Module):
    """A loss of PyTorch, with its mean or sum over each sample."""

    def __init__(self, loss: Any, *, summed: bool) -> None:
        super().__init__()
        self.loss = loss
        self.summed = summed

    def forward(self, output: Any, target: Any) -> Tensor:
        """Losses of shape (b,)."""
        losses: Tensor = self.loss(output, target)
        rows = losses.reshape(len(losses), -1)
        return rows.sum(1) if self.summed else rows.mean(1)


def _is_plain(loss: Any) -> bool:
    weights = (getattr(loss, name, None) for name in ("weight", "pos_weight"))
    smoothed = getattr(loss, "label_smoothing", 0.0) or getattr(loss, "ignore_index", -100) != -100
    return not smoothed and all(weight is None for weight in weights)
