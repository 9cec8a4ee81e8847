"""Losses: one number per sample; high = badly predicted."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gexcore.backend import losses as shared
from gexcore.backend.losses import IGNORED
from gexcore_torch.data import full

Loss = Callable[[Any, Any], Tensor]
"""A function from model output and target to losses of shape (b,)."""


def cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Softmax cross-entropy.

    Parameters
    ----------
    output : Tensor
        Scores of shape (b, K); of tokens (b, t, K); of pixels (b, K, h, w, …).
    target : Tensor
        Labels 0..K-1 of shape (b,), (b, t) or (b, h, w, …); or probabilities of shape (b, K).
        A sample's loss is the mean over its positions that are not -100. Labels are compared
        position by position. The backend shifts those of a causal language model of
        ``transformers``; of other models they must be shifted beforehand.

    Raises
    ------
    InvalidModelError
        If the output has no scores of two classes or more.
    InvalidDataError
        If labels do not fit the scores in shape, kind or range.
    """
    losses, target = _positions(output, target)
    if losses.ndim == 1:
        return losses
    counted = (target != IGNORED).flatten(1).sum(1).clamp(min=1)
    return losses.flatten(1).sum(1) / counted


def _positions(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropies of shape (b,) or (b, …), 0 where ignored, and the target in that shape."""
    output, target = _tensors(output, target, "cross_entropy")
    shape = output.shape
    if len(shape) < 2 or (len(shape) == 2 and shape[1] < 2):
        raise shared.one_score(_shape(output))
    if target.is_floating_point():
        return _soft_cross_entropy(output, target), target[:, 0]
    if len(shape) == 3 and target.shape == shape[:2]:
        output = output.transpose(1, 2)
        shape = output.shape
    if len(shape) == 2 and target.shape == (shape[0], 1):
        target = target[:, 0]
    if target.shape != (shape[:1] if len(shape) == 2 else shape[:1] + shape[2:]):
        raise shared.wrong_labels(_shape(target), tuple(shape))
    # the host refuses bad labels by itself, a device would crash; evaluation comes first
    if not target.is_cpu and not torch.is_grad_enabled():
        check_labels(target, shape[1])
    try:
        losses = functional.cross_entropy(
            output, target.long(), reduction="none", ignore_index=IGNORED
        )
    except IndexError:
        check_labels(target, shape[1])
        raise
    return losses, target


def parts_of_cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Losses of tokens, pixels or samples, in the shape of their labels; NaN where ignored."""
    losses, target = _positions(output, target)
    return losses if losses.ndim == 1 else losses.masked_fill(target == IGNORED, torch.nan)


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Squared differences, summed over the outputs of a sample, shape (b,)."""
    return parts_of_squared_error(output, target).flatten(1).sum(1)


def parts_of_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Squared difference of each output, shape (b, …)."""
    output, target, shape = _aligned(output, target, "squared_error")
    return (output - target).square().reshape(shape)


def binary_cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Sigmoid cross-entropy of scores, not probabilities, summed over outputs.

    Output and target have shape (b,) or (b, …). Targets are 0, 1 or a probability in between.
    """
    return parts_of_binary_cross_entropy(output, target).flatten(1).sum(1)


def parts_of_binary_cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Sigmoid cross-entropy of each output, shape (b, …)."""
    output, target, shape = _aligned(output, target, "binary_cross_entropy")
    if not torch.is_grad_enabled() and not bool(((target >= 0) & (target <= 1)).all()):
        raise shared.targets_outside()
    return functional.binary_cross_entropy_with_logits(output, target, reduction="none").reshape(
        shape
    )


LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    "squared_error": squared_error,
    "binary_cross_entropy": binary_cross_entropy,
}
"""Losses by name. The first one is the default."""

PARTS: dict[str, Loss] = {
    "cross_entropy": parts_of_cross_entropy,
    "squared_error": parts_of_squared_error,
    "binary_cross_entropy": parts_of_binary_cross_entropy,
}
"""Losses of the parts of samples, by name."""


def loss_of(loss: str | Loss | None, device: torch.device) -> Loss:
    """The named loss, or the user's own loss with a check of its result.

    Parameters
    ----------
    loss : str, callable or None
        A callable takes the model's output (or its ``logits``) and the target, and returns losses
        of shape (b,). A loss module is copied to the device. It is not trained.

    Raises
    ------
    InvalidModelError
        If the name is unknown. Later, if a callable does not return one loss per sample.
    """
    found = shared.named(loss, LOSSES)
    if found is not None:
        return found
    own: Any = loss
    if isinstance(loss, nn.Module):
        own = copy.deepcopy(loss).requires_grad_(False).to(device)

    def checked(output: Any, target: Any) -> Tensor:
        losses = own(output, target)
        b = len(target if isinstance(target, Tensor) else output)
        if not isinstance(losses, Tensor) or losses.ndim != 1 or len(losses) != b:
            single = not isinstance(losses, Tensor) or losses.ndim == 0
            raise shared.wrong_losses(None if single else _shape(losses), b)
        return full(losses)

    return checked


def of_step(output: Any, target: Any) -> Tensor:
    """The loss that ``training_step`` of a LightningModule has computed."""
    losses: Tensor = full(output)
    return losses


def check_labels(target: Tensor, classes: int) -> None:
    """Refuse labels outside 0 … K−1 that are not -100.

    Raises
    ------
    InvalidDataError
        If a label is outside. The error names the first one.
    """
    bad = ((target < 0) | (target >= classes)) & (target != IGNORED)
    if bool(bad.any()):
        raise shared.label_outside(int(target[bad][0]), classes)


def _soft_cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    if output.ndim != 2 or target.shape != output.shape:
        raise shared.wrong_probabilities(target.dtype, _shape(target), _shape(output))
    return functional.cross_entropy(output, target.to(output.dtype), reduction="none")


def _aligned(
    output: Tensor, target: Tensor, name: str
) -> tuple[Tensor, Tensor, torch.Size | tuple[int, ...]]:
    """Both of shape (b, k), and the shape of the target with two dimensions or more."""
    output, target = _tensors(output, target, name)
    b = len(output) if output.ndim else 0
    # (b, 1) against (b,) is one output; broadcasting would make b x b outputs
    sizes = [[d for d in t.shape[1:] if d != 1] for t in (output, target)]
    if target.ndim == 0 or len(target) != b or sizes[0] != sizes[1]:
        raise shared.wrong_targets(name, _shape(target), _shape(output))
    shape = target.shape if target.ndim > 1 else (b, 1)
    return output.reshape(b, -1), target.reshape(b, -1).to(output.dtype), shape


def _tensors(output: Any, target: Any, name: str) -> tuple[Tensor, Tensor]:
    if not isinstance(output, Tensor):
        raise shared.no_scores(output, name)
    if not isinstance(target, Tensor):
        raise shared.no_targets(type(target).__name__, name)
    return full(output), target


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))
