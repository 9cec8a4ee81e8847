"""Workers: private copies of the model that do the work."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from gexcore.errors import InvalidModelError
from gexcore_torch.optimizers import MakeOptimizer
from gexcore_torch.scripted import Scripted
from gexcore_torch.state import Moments, TorchState
from gexcore_torch.trainers import unwrapped


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """Trained parameters by name. Tied ones come once."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def frozen(module: nn.Module) -> list[nn.Parameter]:
    """Parameters that are not trained, without subclasses such as quantised ones."""
    return [p for p in module.parameters() if not p.requires_grad and type(p) is nn.Parameter]


def aliased(param: nn.Parameter, *, trained: bool) -> nn.Parameter:
    """A new tensor on the memory of a parameter, whose object others may change."""
    # by .data: with .detach() all share one version counter, and autograd sees foreign writes
    return nn.Parameter(param.data, trained) if trained or type(param) is nn.Parameter else param


@torch.inference_mode(False)
def template_of(model: Any) -> nn.Module:
    """A copy of the model that holds θ* and never runs.

    Wrappers (``DataParallel``, ``DistributedDataParallel``, ``torch.compile``) are removed. Frozen
    parameters are shared with the user's model, so they take no memory.

    Raises
    ------
    InvalidModelError
        If the model is no ``nn.Module``, is sharded, has no values, cannot be copied, or has
        nothing to train.
    """
    model = unwrapped(model)
    if not isinstance(model, nn.Module):
        msg = (
            f"the torch backend takes an nn.Module, not {type(model).__name__}; give the trained "
            "module itself"
        )
        raise InvalidModelError(msg)
    if isinstance(model, torch.jit.ScriptModule):
        model = Scripted(model)
    if any(is_lazy(p) for p in model.parameters()):
        msg = (
            f"{type(model).__name__} has lazy parameters without a shape; run the model on one "
            "batch first"
        )
        raise InvalidModelError(msg)
    if any(p.is_meta for p in (*model.parameters(), *model.buffers())):
        msg = (
            f'{type(model).__name__} has parameters on the device "meta", which have no values; '
            "load its weights first"
        )
        raise InvalidModelError(msg)
    if _sharded(model):
        msg = (
            f"{type(model).__name__} is sharded over processes by torch.distributed (FSDP, "
            "DTensor), and each chain needs a whole model; load what get_model_state_dict(model, "
            "options=StateDictOptions(full_state_dict=True)) of "
            "torch.distributed.checkpoint.state_dict returns into a plain model, and give that"
        )
        raise InvalidModelError(msg)
    if not trainable(model):
        msg = (
            f"{type(model).__name__} has no trainable parameters; set requires_grad on those "
            "that the members may change"
        )
        raise InvalidModelError(msg)
    try:
        copied: nn.Module = copy.deepcopy(
            model,
            {id(p): aliased(p, trained=False) for p in model.parameters() if not p.requires_grad},
        )
        return copied
    except Exception as error:
        msg = (
            f"{type(model).__name__} cannot be copied with copy.deepcopy ({error}); remove what "
            "cannot be copied (old-style weight_norm, open files, locks), or define __deepcopy__"
        )
        raise InvalidModelError(msg) from error


def _sharded(model: nn.Module) -> bool:
    # by attributes, because the imports are slow, and missing in some builds of PyTorch
    flat = any(type(part).__name__ == "FullyShardedDataParallel" for part in model.modules())
    return flat or any(
        hasattr(p, "device_mesh") and hasattr(p, "placements") for p in model.parameters()
    )


def state_of(template: nn.Module) -> TorchState:
    """θ* with a fresh optimiser, in the template's own memory."""
    params = tuple(p.detach() for p in trainable(template).values())
    return TorchState(params, tuple(registry[name] for ((registry, name), *_) in _owners(template)))


class Worker:
    """A copy of the model for one thread. Any state can be loaded into it.

    Loading swaps pointers. It does nothing for the state that is already loaded.
    """

    @torch.inference_mode(False)
    def __init__(self, template: nn.Module, make_optimizer: MakeOptimizer) -> None:
        # trainable parameters alias θ* until a writable state is loaded
        memo = {id(p): aliased(p, trained=p.requires_grad) for p in template.parameters()}
        self.module: nn.Module = copy.deepcopy(template, memo)
        self.named = trainable(self.module)
        self.params = list(self.named.values())
        self._frozen = frozen(self.module)
        self._fixed = tuple(p.data for p in self._frozen)
        self._owners = _owners(self.module)
        self._make_optimizer = make_optimizer
        self._optimizer = make_optimizer(self.params)
        # the present content
        self._state: TorchState | None = None
        self._moments: Moments | None = None
        self._training: bool | None = None
        self._weights: Tensor | None = None

    def ready(self, state: TorchState, *, training: bool) -> nn.Module:
        """The module with this state, in this mode."""
        if state is not self._state:
            for param, values in zip(self.params, state.params, strict=True):
                param.data = values
            if self._state is None or state.fixed is not self._state.fixed:
                for param, values in zip(self._frozen, state.fixed or self._fixed, strict=True):
                    param.data = values
            for owners, values in zip(self._owners, state.buffers, strict=True):
                for registry, name in owners:
                    registry[name] = values
            self._state = state
        if training is not self._training:
            self.module.train(training)
            self._training = training
        return self.module

    def step(self, state: TorchState, losses: Tensor, lr: float) -> TorchState:
        """One optimiser step on the mean of these losses, in the memory of the loaded state."""
        if not losses.requires_grad:
            msg = (
                "the losses do not depend on any trainable parameter; check requires_grad, and "
                "that nothing detaches"
            )
            raise InvalidModelError(msg)
        for param in self.params:
            param.grad = None
        torch.autograd.backward(losses, self._equal_weights(losses))
        moments = self._load_moments(state.moments)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.step()
        self._moments = moments or Moments(
            [self._optimizer.state[p] for p in self.params], self._optimizer.param_groups
        )
        return self._found(state, self._moments)

    def _equal_weights(self, losses: Tensor) -> Tensor:
        # the gradient of a mean, without the cost of a mean at every step
        weights = self._weights
        if weights is None or weights.shape != losses.shape or weights.dtype != losses.dtype:
            weights = self._weights = torch.full_like(
                losses, 1.0 / len(losses), requires_grad=False
            )
        return weights

    def _load_moments(self, moments: Moments | None) -> Moments | None:
        if moments is None:
            # made anew and not emptied: some optimisers fill their state at construction
            self._optimizer = self._make_optimizer(self.params)
        elif moments is not self._moments:
            self._optimizer.state.clear()
            self._optimizer.state.update(zip(self.params, moments.slots, strict=True))
            for group, mine in zip(moments.groups, self._optimizer.param_groups, strict=True):
                group["params"] = mine["params"]
            self._optimizer.param_groups = moments.groups
        return moments

    def _found(self, state: TorchState, moments: Moments | None) -> TorchState:
        # a module may assign a new tensor to a buffer instead of writing to the old one
        buffers = tuple(registry[name] for ((registry, name), *_) in self._owners)
        if moments is not state.moments or any(
            a is not b for a, b in zip(buffers, state.buffers, strict=True)
        ):
            state = replace(state, buffers=buffers, moments=moments)
        self._state = state
        return state


def _owners(module: nn.Module) -> list[list[tuple[dict[str, Any], str]]]:
    """Modules and names of each buffer. A shared buffer has several."""
    owners: dict[int, list[tuple[dict[str, Any], str]]] = {}
    for part in module.modules():
        for name, buffer in part._buffers.items():
            if buffer is not None:
                owners.setdefault(id(buffer), []).append((part._buffers, name))
    return list(owners.values())
