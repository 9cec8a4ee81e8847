"""States: plain tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """What an optimiser remembers.

    Parameters
    ----------
    slots : list of dict
        One per trainable parameter, as in ``torch.optim.Optimizer.state``.
    groups : list of dict
        Settings of the parameter groups, where some optimisers keep numbers of their own.
    """

    slots: list[dict[str, Any]]
    groups: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class TorchState:
    """A point of training. States may share tensors; one that is to be stepped in place is copied
    first.

    Parameters
    ----------
    params : tuple of Tensor
        Trainable parameters in the order of ``named_parameters``; tied ones once.
    buffers : tuple of Tensor
        All buffers, persistent or not; shared ones once.
    moments : Moments or None
        None where the optimiser is fresh.
    fixed : tuple of Tensor or None
        Frozen parameters, where they are not those of θ*: of a checkpoint.
    """

    params: tuple[Tensor, ...]
    buffers: tuple[Tensor, ...]
    moments: Moments | None = None
    fixed: tuple[Tensor, ...] | None = None


# a tensor made in the caller's inference mode could never be trained
@torch.inference_mode(False)
def copied(state: TorchState) -> TorchState:
    """The same values in memory of their own."""
    moments = state.moments and Moments(_copied(state.moments.slots), _copied(state.moments.groups))
    return TorchState(_copied(state.params), _copied(state.buffers), moments, state.fixed)


def with_own_buffers(state: TorchState) -> TorchState:
    """As `copied`, the parameters and moments shared: for passes that write into buffers only."""
    return replace(state, buffers=copied(TorchState((), state.buffers)).buffers)


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        # parameters in a group are those of the worker, which binds its own
        return value if isinstance(value, torch.nn.Parameter) else value.detach().clone()
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_copied(item) for item in value)
    return value
