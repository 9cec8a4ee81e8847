"""States: plain tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """The memory of an optimiser.

    Parameters
    ----------
    slots : list of dict
        One dictionary per trainable parameter, as in ``torch.optim.Optimizer.state``.
    groups : list of dict
        Settings of the parameter groups, where some optimisers keep numbers.
    """

    slots: list[dict[str, Any]]
    groups: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class TorchState:
    """A point of training. States may share tensors, so a step in place needs a copy first.

    Parameters
    ----------
    params : tuple of Tensor
        Trainable parameters in the order of ``named_parameters``. Tied ones come once.
    buffers : tuple of Tensor
        All buffers, persistent or not. Shared ones come once.
    moments : Moments or None
        Memory of the optimiser. None if it is fresh.
    fixed : tuple of Tensor or None
        Frozen parameters of a checkpoint. None if they are those of θ*.
    """

    params: tuple[Tensor, ...]
    buffers: tuple[Tensor, ...]
    moments: Moments | None = None
    fixed: tuple[Tensor, ...] | None = None


# a tensor from the caller's inference mode could never be trained
@torch.inference_mode(False)
def copied(state: TorchState) -> TorchState:
    """A state with the same values in its own memory."""
    moments = state.moments and Moments(_copied(state.moments.slots), _copied(state.moments.groups))
    return TorchState(_copied(state.params), _copied(state.buffers), moments, state.fixed)


def with_own_buffers(state: TorchState) -> TorchState:
    """A state with copied buffers only, for passes that write only to buffers."""
    return replace(state, buffers=copied(TorchState((), state.buffers)).buffers)


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        # a worker puts its own parameters into a group
        return value if isinstance(value, torch.nn.Parameter) else value.detach().clone()
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_copied(item) for item in value)
    return value
