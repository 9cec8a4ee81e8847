"""Seeds: the caller's random generators are restored after use."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

# the process owns the generators, so no other thread may draw between seed and draw
_LOCK = threading.RLock()


@dataclass(frozen=True)
class Stream:
    """One global generator that models and datasets draw from."""

    read: Callable[[], Any]
    write: Callable[[Any], object]
    seed: Callable[[int], object]
    draw: Callable[[], float]


HOST = (
    Stream(
        torch.get_rng_state,
        torch.set_rng_state,
        # not torch.manual_seed, which seeds every device
        torch.default_generator.manual_seed,
        lambda: torch.rand((), device="cpu").item(),
    ),
    Stream(np.random.get_state, np.random.set_state, np.random.seed, np.random.random),
    Stream(random.getstate, random.setstate, random.seed, random.random),
)
"""The generators of PyTorch, NumPy and Python on the host."""


def streams_of(device: torch.device) -> tuple[Stream, ...]:
    """The generators that a model on this device may draw from."""
    if device.type in ("cpu", "meta"):
        return HOST
    module = torch.get_device_module(device)

    def write(state: torch.Tensor) -> None:
        module.set_rng_state(state, device)

    def seed(value: int) -> None:
        write(torch.Generator(device).manual_seed(value).get_state())

    def draw() -> float:
        return torch.rand((), device=device).item()

    return (*HOST, Stream(lambda: module.get_rng_state(device), write, seed, draw))


def reseed(seed: int, streams: Sequence[Stream] = HOST) -> None:
    """Seed the generators anew, within `seeded`, which restores them."""
    for stream in streams:
        stream.seed(seed)


@contextmanager
def seeded(seed: int, streams: Sequence[Stream] = HOST) -> Iterator[None]:
    """A block under this seed, in one thread at a time. It restores the generators."""
    with _LOCK:
        before = [stream.read() for stream in streams]
        try:
            reseed(seed, streams)
            yield
        finally:
            for stream, state in zip(streams, before, strict=True):
                stream.write(state)


class Draws:
    """Seeds for the generators of a model, which are found in its first run.

    Parameters
    ----------
    device : torch.device
        Device of the model.
    """

    def __init__(self, device: torch.device) -> None:
        self._streams = streams_of(device)
        self._known = False

    def run(self, seed: int, function: Callable[..., Any], *args: Any) -> Any:
        """The result of the function for these arguments, under this seed."""
        if self._known and not self._streams:
            return function(*args)
        streams = self._streams
        with seeded(seed, streams):
            result = function(*args)
            if not self._known:
                self._streams, self._known = _drawn_from(streams, seed), True
        return result


def _drawn_from(streams: Sequence[Stream], seed: int) -> tuple[Stream, ...]:
    # generators that no longer give the first number of this seed
    now = [stream.draw() for stream in streams]
    reseed(seed, streams)
    return tuple(
        stream for stream, number in zip(streams, now, strict=True) if stream.draw() != number
    )
