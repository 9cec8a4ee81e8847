"""How a call of a model becomes scores: what closes the model, and what its labels mean."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from gexcore.backend.classes import closed_by
from gexcore.backend.losses import IGNORED, scores_of
from gexcore.errors import GexError
from gexcore_torch.data import Call, full
from gexcore_torch.losses import Loss

Closing = Literal["softmax", "sigmoid"]

LINEAR = ("Addmm", "Mm", "Mv", "Bmm", "Add", "Mul", "Convolution")
"""Operations that make scores, never probabilities, as PyTorch's graph names them."""

RESHAPING = (
    "Squeeze", "Unsqueeze", "View", "Reshape", "Select", "Slice", "Transpose", "T0", "Permute",
    "ToCopy", "Clone", "Alias", "UnsafeView",
)  # fmt: skip
"""Operations that change the shape of an output only."""


@dataclass(frozen=True)
class Reading:
    """The way from a call to scores and a target.

    Parameters
    ----------
    closing : {"softmax", "sigmoid"}, optional
        Last operation of the model. Scores are then the logarithms, or the log-odds, of its
        outputs.
    axis : int
        Axis of the classes of a softmax.
    shifted : bool
        Whether the label of a position is a score's target one position earlier: the model is a
        causal language model of ``transformers``, which shifts labels inside.
    """

    closing: Closing | None = None
    axis: int = 1
    shifted: bool = False

    def call(self, call: Call) -> Call:
        """The call with the targets of the scores that are kept."""
        if self.shifted and isinstance(call.target, Tensor) and call.target.ndim == 2:
            return call._replace(target=call.target[:, 1:])
        return call

    def placed(self, parts: Tensor) -> Tensor:
        """Losses of positions at the labels that they are of."""
        if not self.shifted or parts.ndim != 2:
            return parts
        return torch.cat([torch.full_like(parts[:, :1], torch.nan), parts], dim=1)

    def scores(self, run: Callable[..., Any], call: Call) -> Any:
        """Scores of a run."""
        output = scores_of(run(*call.args, **call.kwargs))
        if not isinstance(output, Tensor):
            return output
        if self.shifted and output.ndim == 3:
            output = output[:, :-1]
        if self.closing is None:
            return output
        p = full(output)
        least = torch.finfo(p.dtype).tiny
        if self.closing == "softmax":
            return torch.log(p.clamp(min=least))
        return torch.log(p.clamp(min=least)) - torch.log1p(-p.clamp(max=1 - 2**-24))


@dataclass(frozen=True)
class Arguments:
    """What a model's ``forward`` takes.

    Parameters
    ----------
    names : frozenset of str, optional
        Names of its arguments. None where it takes any.
    most : int, optional
        Most positional arguments. None where it takes any number.
    """

    names: frozenset[str] | None
    most: int | None

    @classmethod
    def of(cls, module: nn.Module) -> Arguments:
        """The arguments of a model."""
        parameters = inspect.signature(module.forward).parameters.values()
        kinds = {p.kind for p in parameters}
        names = frozenset(p.name for p in parameters)
        several = inspect.Parameter.VAR_POSITIONAL in kinds
        # models of transformers take any keyword; their Trainer drops what has no name there
        anything = inspect.Parameter.VAR_KEYWORD in kinds and not _of_transformers(module)
        positional = [p for p in parameters if p.kind <= inspect.Parameter.POSITIONAL_OR_KEYWORD]
        return cls(None if anything else names, None if several else len(positional))

    def fitted(self, call: Call) -> Call:
        """The call; a mapping without any of the names is the one argument of a model."""
        if not call.kwargs or self.names is None or self.names & call.kwargs.keys():
            return call
        return call._replace(args=(call.kwargs,), kwargs={}) if self.most == 1 else call


def reading_of(module: nn.Module, loss: object) -> Reading:
    """The reading of a model before it has been seen at work."""
    return Reading(shifted=loss in (None, "cross_entropy") and _is_causal(module))


def closing_of(output: Any, target: Any, name: object, loss: Loss) -> tuple[Closing | None, int]:
    """What closes a model with this output under a named loss, and the axis of its classes."""
    if not isinstance(output, Tensor):
        return None, 1
    values = full(output.detach()).cpu().numpy()
    if name in (None, "cross_entropy"):
        tokens = (
            isinstance(target, Tensor) and output.ndim == 3 and target.shape == output.shape[:2]
        )
        axis = 2 if tokens else 1
        found = values.ndim > axis and values.shape[axis] > 1 and closed_by(values, axis)
        return ("softmax" if found else None), axis
    if name != "binary_cross_entropy" or not closed_by(values):
        return None, 1
    operation = _last_operation(output)
    if operation.startswith((*LINEAR, "Sigmoid")):
        return ("sigmoid" if operation.startswith("Sigmoid") else None), 1
    # weak scores may lie in 0 … 1 too: a trained model fits its labels in the reading it has
    guess = Reading("sigmoid").scores(lambda: output, Call((), {}, target))
    try:
        better = bool(loss(guess, target).mean() < loss(output, target).mean())
    except GexError:  # the first look at the data says what is wrong
        return None, 1
    return ("sigmoid" if better else None), 1


def _last_operation(output: Tensor) -> str:
    """Name of the operation that made an output, without changes of shape; "" if not recorded."""
    node: Any = output.grad_fn
    while node is not None and node.name().startswith(RESHAPING):
        node = node.next_functions[0][0]
    return "" if node is None else str(node.name())


def unshifted(reading: Reading, call: Call) -> Reading:
    """The reading without a shift where the user has shifted the labels beforehand."""
    ids = call.kwargs.get("input_ids", call.args[0] if call.args else None)
    target = call.target
    if not reading.shifted or not isinstance(ids, Tensor) or not isinstance(target, Tensor):
        return reading
    if ids.shape != target.shape or ids.ndim != 2:
        return reading
    ahead, counted = target[:, :-1], target[:, :-1] != IGNORED
    moved = bool((ahead == ids[:, 1:])[counted].all())
    return replace(reading, shifted=not (moved and bool((ahead != ids[:, :-1])[counted].any())))


def _of_transformers(module: nn.Module) -> bool:
    return any(
        cls.__name__ == "PreTrainedModel" and cls.__module__.startswith("transformers.")
        for cls in type(module).__mro__
    )


def _is_causal(module: nn.Module) -> bool:
    # by name, since the import takes seconds; adapters (PEFT) wrap the model
    base = getattr(module, "get_base_model", None)
    model = base() if callable(base) else module
    names = {
        cls.__name__ for cls in type(model).__mro__ if cls.__module__.startswith("transformers.")
    }
    config = getattr(model, "config", None)
    return "GenerationMixin" in names and not getattr(config, "is_encoder_decoder", False)


class Untouched:
    """Runs on copies of a batch where the model or the loss writes into what it is given.

    The first run of each kind is on copies, and shows whether anything was written. A model that
    writes nothing gets the batch itself from then on.
    """

    def __init__(self) -> None:
        # scores alone do not show what the loss writes
        self._writes: dict[tuple[str, bool], bool] = {}

    def __call__(self, function: Callable[..., Any], module: nn.Module, call: Call) -> Any:
        """What the function returns for a module and a call; the call stays as it is."""
        kind = function.__name__, module.training
        if not self._writes.get(kind, True):
            return function(module, call)
        own = duplicate(call)
        # tensors of an inference mode do not count what is written into them
        counts = not torch.is_inference_mode_enabled()
        before = _versions(own) if counts else []
        result = function(module, own)
        if counts and kind not in self._writes:
            self._writes[kind] = _versions(own) != before
        return result


def duplicate(call: Call) -> Call:
    """The call in memory of its own."""
    copied: Call = tree_map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, call)
    return copied


def _versions(call: Call) -> list[int]:
    return [leaf._version for leaf in tree_leaves(call) if isinstance(leaf, Tensor)]
