"""Losses: one number per sample; high = badly predicted."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gexcore.errors import InvalidDataError, InvalidModelError
from gexcore_torch.data import full

Loss = Callable[[Any, Any], Tensor]
"""A function from model output and target to losses of shape (b,)."""

IGNORED = -100
"""Label of an ignored position, as everywhere in PyTorch."""


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
    output, target = _tensors(output, target, "cross_entropy")
    shape = output.shape
    if len(shape) < 2 or (len(shape) == 2 and shape[1] < 2):
        msg = (
            "cross_entropy needs scores of shape (b, K), two classes or more, and the model "
            f"returned {tuple(shape)}; "
            "use loss='binary_cross_entropy' for a single score, 'squared_error' for regression"
        )
        raise InvalidModelError(msg)
    if target.is_floating_point():
        return _soft_cross_entropy(output, target)
    if len(shape) == 3 and target.shape == shape[:2]:
        output = output.transpose(1, 2)
        shape = output.shape
    if target.shape != (shape[:1] if len(shape) == 2 else shape[:1] + shape[2:]):
        msg = (
            f"cross_entropy got labels of shape {tuple(target.shape)} for scores of shape "
            f"{tuple(shape)}; "
            "give one label per sample, or one per position"
        )
        raise InvalidDataError(msg)
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
    if len(shape) == 2:
        return losses
    counted = (target != IGNORED).flatten(1).sum(1).clamp(min=1)
    return losses.flatten(1).sum(1) / counted


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Squared differences, summed over the outputs of a sample, shape (b,)."""
    output, target = _aligned(output, target, "squared_error")
    return (output - target).square().sum(1)


def binary_cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Sigmoid cross-entropy of scores, not probabilities, summed over outputs.

    Output and target have shape (b,) or (b, …). Targets are 0, 1 or a probability in between.
    """
    output, target = _aligned(output, target, "binary_cross_entropy")
    if not torch.is_grad_enabled() and not bool(((target >= 0) & (target <= 1)).all()):
        msg = (
            "binary_cross_entropy got targets outside 0 … 1; only 0, 1 and probabilities are "
            "allowed: map -1 to 0"
        )
        raise InvalidDataError(msg)
    return functional.binary_cross_entropy_with_logits(output, target, reduction="none").sum(1)


LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    "squared_error": squared_error,
    "binary_cross_entropy": binary_cross_entropy,
}
"""Losses by name. The first one is the default."""


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
    if loss is None:
        return cross_entropy
    if isinstance(loss, str) and loss in LOSSES:
        return LOSSES[loss]
    if not callable(loss):
        msg = (
            f"no loss named {loss!r}; allowed are {', '.join(LOSSES)}, "
            "and a function (output, target) -> losses of shape (b,)"
        )
        raise InvalidModelError(msg)
    own = (
        copy.deepcopy(loss).requires_grad_(False).to(device)
        if isinstance(loss, nn.Module)
        else loss
    )

    def checked(output: Any, target: Any) -> Tensor:
        losses = own(output, target)
        b = len(target if isinstance(target, Tensor) else output)
        if not isinstance(losses, Tensor) or losses.ndim != 1 or len(losses) != b:
            found = (
                "one number"
                if not isinstance(losses, Tensor) or losses.ndim == 0
                else f"shape {_shape(losses)}"
            )
            msg = (
                f"the loss returned {found} for {b} samples; it must return shape ({b},), as "
                "with reduction='none'"
            )
            raise InvalidModelError(msg)
        return full(losses)

    return checked


def scores_of(output: Any) -> Any:
    """The model's output, or its `logits` if it has them."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping) and "logits" in output:
        return output["logits"]
    return getattr(output, "logits", output)


def check_labels(target: Tensor, classes: int) -> None:
    """Refuse labels outside 0..K-1 that are not -100.

    Raises
    ------
    InvalidDataError
        If a label is outside. The error names the first one.
    """
    bad = ((target < 0) | (target >= classes)) & (target != IGNORED)
    if bool(bad.any()):
        msg = (
            f"label {int(target[bad][0])} is outside 0 … {classes - 1}, the {classes} "
            "classes of the model; "
            "recode the labels"
        )
        raise InvalidDataError(msg)


def _soft_cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    if output.ndim != 2 or target.shape != output.shape:
        msg = (
            f"cross_entropy got {target.dtype} targets of shape {_shape(target)} for scores "
            f"of shape {_shape(output)}; "
            "give integer labels or probabilities of shape (b, K), or use "
            "loss='squared_error' for regression"
        )
        raise InvalidDataError(msg)
    return functional.cross_entropy(output, target.to(output.dtype), reduction="none")


def _aligned(output: Tensor, target: Tensor, name: str) -> tuple[Tensor, Tensor]:
    output, target = _tensors(output, target, name)
    b = len(output) if output.ndim else 0
    # (b, 1) against (b,) is one output; broadcasting would make b x b outputs
    sizes = [[d for d in t.shape[1:] if d != 1] for t in (output, target)]
    if target.ndim == 0 or len(target) != b or sizes[0] != sizes[1]:
        msg = (
            f"{name} got targets of shape {_shape(target)} for outputs of shape {_shape(output)}; "
            "give one target per output"
        )
        raise InvalidDataError(msg)
    return output.reshape(b, -1), target.reshape(b, -1).to(output.dtype)


def _tensors(output: Any, target: Any, name: str) -> tuple[Tensor, Tensor]:
    if not isinstance(output, Tensor):
        msg = (
            f"the model returned {type(output).__name__}, and {name} needs a tensor or an "
            "object with .logits; "
            "wrap the model, or give loss= a function of that output"
        )
        raise InvalidModelError(msg)
    if not isinstance(target, Tensor):
        msg = (
            f"the targets are of type {type(target).__name__}, and {name} needs an array; give "
            "arrays or tensors"
        )
        raise InvalidDataError(msg)
    return full(output), target


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))
