"""Hooks on layers: temporary ones, which see inputs and outputs, and those of the user."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

LIBRARIES = ("torch", "torchvision", "transformers", "accelerate", "peft", "timm")
"""Packages whose hooks are parts of a model."""

See = Callable[[nn.Module, Tensor, Tensor], None]
"""A function that gets the layer, the input and the output of every call."""


@contextmanager
def watching(layers: Iterable[nn.Module], see: See) -> Iterator[None]:
    """A block in which `see` gets every call of these layers."""

    def hook(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        see(layer, args[0] if args else kwargs["input"], output)

    # before the model's own hooks, which may replace the output
    handles = [
        layer.register_forward_hook(hook, prepend=True, with_kwargs=True) for layer in layers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def watched(module: nn.Module) -> bool:
    """Whether the user has put hooks on the forward pass."""
    return any(True for _ in _own_hooks(module))


def unwatched(module: nn.Module) -> nn.Module:
    """The module, without the user's hooks on the forward pass."""
    for registry, key in list(_own_hooks(module)):
        del registry[key]
    return module


def _own_hooks(module: nn.Module) -> Iterator[tuple[dict[int, Any], int]]:
    # hooks of PyTorch and of libraries on it (pruning, weight_norm) are parts of the model
    for part in module.modules():
        registries: Any = (part._forward_hooks, part._forward_pre_hooks)
        for registry in registries:
            for key, hook in registry.items():
                origin = str(getattr(hook, "__module__", type(hook).__module__))
                if origin.partition(".")[0] not in LIBRARIES:
                    yield registry, key
