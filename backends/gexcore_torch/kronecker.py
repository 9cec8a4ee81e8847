"""Kronecker-factored Fisher statistics of linear and convolutional layers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import functional

from gexcore.backend.kronecker import KroneckerBlock
from gexcore_torch.data import full
from gexcore_torch.hooks import watching
from gexcore_torch.worker import trainable

AT_ONCE = 2**25
"""The most numbers of unfolded input in memory together: 128 MB in float32."""


class Layer(NamedTuple):
    """The places of a layer's weights in the flat vector.

    Parameters
    ----------
    name : str
        Name of its weight.
    positions : integer array, shape (o, i)
        Positions in the flat vector. A trained bias is in the last column.
    has_bias : bool
        Whether the bias is trained.
    """

    name: str
    positions: NDArray[np.intp]
    has_bias: bool


class Seen(NamedTuple):
    """The record of the only call of a layer.

    Parameters
    ----------
    inputs : Tensor, shape (i, i)
        Second moments, summed over all places.
    places : int
        Number of applications of the layer, over all samples.
    output : GradientEdge
        Edge of the output in the graph. It stays valid if the model continues in place.
    """

    inputs: Tensor
    places: int
    output: GradientEdge


def layers_of(module: nn.Module) -> dict[nn.Module, Layer]:
    """The layers that have a block, in the order of the flat vector.

    These are ``nn.Linear``, and ``nn.Conv1d`` and ``nn.Conv2d`` with one group. They have the
    forward pass of their class and their own trainable weight. Layers with tied weights are left
    out.
    """
    names, starts, end = {}, {}, 0
    for name, param in trainable(module).items():
        names[id(param)], starts[id(param)] = name, end
        end += param.numel()
    owners = Counter(id(p) for part in module.modules() for p in part._parameters.values())
    found: dict[nn.Module, Layer] = {}
    layer: Any
    for layer in module.modules():
        if not _is_plain(layer):
            continue
        own = [p for p in (layer.weight, layer.bias) if id(p) in starts]
        if not own or own[0] is not layer.weight or any(owners[id(p)] > 1 for p in own):
            continue
        columns = [np.arange(p.numel()).reshape(len(p), -1) + starts[id(p)] for p in own]
        found[layer] = Layer(
            names[id(layer.weight)], np.concatenate(columns, axis=1), len(own) == 2
        )
    return dict(sorted(found.items(), key=lambda item: int(item[1].positions[0, 0])))


def blocks(module: nn.Module, losses_of: Callable[[nn.Module], Tensor]) -> list[KroneckerBlock]:
    """One block per layer that is called exactly once and sees every sample equally often.

    Parameters
    ----------
    module : nn.Module
        Module in evaluation mode.
    losses_of : callable
        Function that runs the module on a batch and returns losses of shape (b,).
    """
    layers = layers_of(module)
    calls: dict[nn.Module, Seen | None] = {}

    def see(layer: Any, inputs: Tensor, output: Tensor) -> None:
        batched = isinstance(layer, nn.Linear) or inputs.ndim == layer.weight.ndim
        if layer in calls or not output.requires_grad or not batched:
            calls[layer] = None
            return
        places = output.numel() // len(layer.weight)
        moment = _second_moment(layer, inputs.detach(), places, has_bias=layers[layer].has_bias)
        calls[layer] = Seen(moment, places, get_gradient_edge(output))

    with watching(layers, see):
        losses = losses_of(module)
    b = len(losses)
    once = {
        layer: call
        for layer in layers
        if (call := calls.get(layer)) is not None and call.places % b == 0
    }
    if not once:
        return []
    edges = [call.output for call in once.values()]
    unused = (None,) * len(edges)
    grads = (
        torch.autograd.grad(losses.sum(), edges, allow_unused=True)
        if losses.requires_grad
        else unused
    )
    made = []
    for (layer, call), grad in zip(once.items(), grads, strict=True):
        name, positions, _ = layers[layer]
        made.append(KroneckerBlock(name, positions, call.inputs / b, _signals(layer, call, grad)))
    return made


def _is_plain(layer: Any) -> bool:
    kind = type(layer)
    if isinstance(layer, nn.Linear):
        return kind.forward is nn.Linear.forward
    for base in (nn.Conv1d, nn.Conv2d):
        if isinstance(layer, base):
            return layer.groups == 1 and (kind.forward, kind._conv_forward) == (
                base.forward,
                base._conv_forward,
            )
    return False


def _second_moment(layer: Any, inputs: Tensor, places: int, *, has_bias: bool) -> Tensor:
    """Sum of a aᵀ over all places, where a is the input of the weights of one output."""
    size = math.prod(layer.weight.shape[1:]) + has_bias
    total = full(inputs.new_zeros((size, size)))
    for part in inputs.chunk(math.ceil(places * size / AT_ONCE)):
        rows = (
            part.reshape(-1, part.shape[-1])
            if isinstance(layer, nn.Linear)
            else _patches(layer, part)
        )
        rows = functional.pad(full(rows), (0, 1), value=1.0) if has_bias else full(rows)
        total += rows.T @ rows
    return total


def _patches(layer: Any, inputs: Tensor) -> Tensor:
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    inputs = functional.pad(inputs, layer._reversed_padding_repeated_twice, mode=mode)
    kernel, dilation, stride = layer.kernel_size, layer.dilation, layer.stride
    if isinstance(layer, nn.Conv1d):
        inputs, kernel, dilation, stride = (
            inputs[:, :, None],
            (1, *kernel),
            (1, *dilation),
            (1, *stride),
        )
    patches = functional.unfold(inputs, kernel, dilation=dilation, stride=stride)
    return patches.transpose(1, 2).flatten(0, 1)


def _signals(layer: Any, call: Seen, grad: Tensor | None) -> Tensor:
    o = len(layer.weight)
    if grad is None:  # no loss depends on the layer
        return call.inputs.new_zeros((o, o))
    rows = full(grad if isinstance(layer, nn.Linear) else grad.movedim(1, -1)).reshape(-1, o)
    return rows.T @ rows / call.places
