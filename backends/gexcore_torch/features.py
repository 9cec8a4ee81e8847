"""Features: inputs of the last linear layer of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from gexcore.errors import InvalidModelError
from gexcore_torch.curvature import exclusive
from gexcore_torch.data import full
from gexcore_torch.hooks import watching


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
