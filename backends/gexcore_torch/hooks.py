"""Temporary hooks that see the inputs and outputs of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from gexcore.errors import InvalidModelError
from gexcore_torch.curvature import exclusive
from gexcore_torch.data import full

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


def linear_layers(module: nn.Module) -> list[nn.Module]:
    """The linear layers anywhere in the module."""
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)]


def features(module: nn.Module, scores_of: Callable[[nn.Module], Any]) -> Tensor:
    """Inputs of the last linear layer that runs, shape (b, h).

    Parameters
    ----------
    module : nn.Module
    scores_of : callable
        Function that runs the module on a batch and returns its scores.

    Raises
    ------
    InvalidModelError
        If no linear layer runs, or the last one has no row or block of rows per sample.
    """
    last: list[Tensor] = []

    def see(layer: nn.Module, inputs: Tensor, output: Tensor) -> None:
        last[:] = [
            inputs.clone()
        ]  # the model may continue in place, and the input may be the caller's array

    # fused transformer layers run without a call of their parts
    with exclusive(), watching(linear_layers(module), see):
        scores = scores_of(module)
    if not last:
        msg = (
            f"none of the linear layers of {type(module).__name__} runs as a module, so it has no "
            "features; call the last one as a module, or choose a method that does without features"
        )
        raise InvalidModelError(msg)
    (inputs,) = last
    if inputs.ndim < 2 or (isinstance(scores, Tensor) and len(inputs) != len(scores)):
        msg = (
            f"the last linear layer of {type(module).__name__} got an input of shape "
            f"{tuple(inputs.shape)}, which does not begin with the number of samples; reshape it, "
            "or choose a method that does without features"
        )
        raise InvalidModelError(msg)
    return full(inputs.reshape(len(inputs), -1))


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
