"""Serialisation: states as named arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gexcore.errors import InvalidModelError
from gexcore_torch.state import Moments, TorchState

# types that NumPy lacks are stored as integers of the same size
CARRIERS = {1: torch.uint8, 2: torch.int16}

HOST, TEXT = "host", "text"


def to_arrays(state: TorchState) -> dict[str, NDArray[Any]]:
    """Tensors by kind and number, and settings of the optimiser as text.

    The part of a name after ``!`` is a type that NumPy lacks, ``text``, or ``host``. ``host`` marks
    a tensor that is not on the model's device.

    Raises
    ------
    InvalidModelError
        If the memory of the optimiser has a value that is no tensor and no plain value.
    """
    device = (*state.params, *state.buffers)[0].device
    named: dict[str, Any] = {}
    for kind, tensors in (
        ("params", state.params),
        ("buffers", state.buffers),
        ("fixed", state.fixed or ()),
    ):
        named |= {f"{kind}/{i}": tensor for i, tensor in enumerate(tensors)}
    if state.moments is not None:
        for kind, parts in (("slots", state.moments.slots), ("groups", state.moments.groups)):
            named |= {f"{kind}/{i}": len(parts) for i in range(len(parts))}
            named |= {
                f"{kind}/{i}/{key}": value
                for i, part in enumerate(parts)
                for key, value in part.items()
                if key != "params"
            }
    return dict(_array(name, value, device) for name, value in named.items())


@torch.inference_mode(False)
def from_arrays(arrays: Mapping[str, NDArray[Any]], like: TorchState) -> TorchState:
    """The state, with the layouts and devices of `like`."""
    named = {}
    device = (*like.params, *like.buffers)[0].device
    for told, array in arrays.items():
        name, _, how = told.partition("!")
        named[name] = _value(array, how, device)

    def numbered(kind: str) -> list[Tensor]:
        return [
            named[f"{kind}/{i}"]
            for i in range(sum(n.startswith(f"{kind}/") and n.count("/") == 1 for n in named))
        ]

    params, buffers, fixed = (
        _laid_out(numbered(kind), likes)
        for kind, likes in (("params", like.params), ("buffers", like.buffers), ("fixed", ()))
    )
    moments = None
    if "groups/0" in named:
        parts = {
            kind: [_part(named, f"{kind}/{i}/") for i in range(named[f"{kind}/0"])]
            for kind in ("slots", "groups")
        }
        for slot, param in zip(parts["slots"], params, strict=True):
            slot |= {key: _like(value, param) for key, value in slot.items()}
        moments = Moments(parts["slots"], parts["groups"])
    return TorchState(params, buffers, moments, fixed or None)


def _array(name: str, value: Any, device: torch.device) -> tuple[str, NDArray[Any]]:
    if not isinstance(value, Tensor):
        try:
            text = json.dumps(value)
        except TypeError as error:
            msg = (
                f"the optimizer keeps a {type(value).__name__} as {name.rpartition('/')[2]!r}, "
                "which is no tensor and cannot be stored; use 'sgd', 'adamw' or one that keeps "
                "tensors and numbers"
            )
            raise InvalidModelError(msg) from error
        return f"{name}!{TEXT}", np.frombuffer(text.encode(), np.uint8)
    host = value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
    how = HOST if value.device != device else ""
    try:
        array = host.numpy()
        if array.dtype.kind not in "biuf":
            raise TypeError
    except TypeError:
        if value.element_size() not in CARRIERS or value.is_complex() or value.is_quantized:
            msg = f"a state holds a tensor of type {value.dtype}, which cannot be stored"
            raise InvalidModelError(msg) from None
        array = host.view(CARRIERS[value.element_size()]).numpy()
        how = f"{how}.{str(value.dtype).removeprefix('torch.')}"
    return (f"{name}!{how}" if how else name), array


def _value(array: NDArray[Any], how: str, device: torch.device) -> Any:
    if how == TEXT:
        value = json.loads(array.tobytes())
        return tuple(value) if isinstance(value, list) else value
    where, _, kind = how.partition(".")
    tensor = torch.from_numpy(np.array(array))
    if kind:
        tensor = tensor.view(getattr(torch, kind))
    return tensor if where == HOST else tensor.to(device)


def _part(named: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)
    }


def _laid_out(tensors: Sequence[Tensor], likes: Sequence[Tensor]) -> tuple[Tensor, ...]:
    if len(likes) != len(tensors):
        return tuple(tensors)
    return tuple(_like(tensor, like) for tensor, like in zip(tensors, likes, strict=True))


def _like(value: Any, like: Tensor) -> Any:
    # with another layout in memory, some kernels round differently
    if (
        not isinstance(value, Tensor)
        or value.shape != like.shape
        or value.stride() == like.stride()
    ):
        return value
    return torch.empty_like(like, dtype=value.dtype, device=value.device).copy_(value)
