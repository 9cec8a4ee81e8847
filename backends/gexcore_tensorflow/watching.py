"""Inputs and outputs of layers, seen while a pass is traced."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from gexcore_tensorflow.models import KerasNetwork
from gexcore_tensorflow.network import Network

_LOCK = threading.RLock()

StandIn = Callable[..., Any]
"""``stand_in(layer, original, *args, **kwargs)`` in place of ``original(*args, **kwargs)``.
"""


def layers_of(network: Network) -> list[Any]:
    """All Keras layers in the model, itself included, but not those of a plain module."""
    return list(network.model._flatten_layers()) if isinstance(network, KerasNetwork) else []


@contextmanager
def standing_in(layers: Sequence[Any], attribute: str, stand_in: StandIn) -> Iterator[None]:
    """A block in which a function replaces an attribute of these layers, in this thread only."""
    thread = threading.get_ident()

    def guarded(layer: Any, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != thread:
                return original(*args, **kwargs)
            return stand_in(layer, original, *args, **kwargs)

        return call

    with _LOCK:
        # on the instance, past the tracking of attributes, so that nothing is left afterwards
        before = [
            {key: vars(layer)[key] for key in (attribute,) if key in vars(layer)}
            for layer in layers
        ]
        for layer in layers:
            # an activation may be None
            vars(layer)[attribute] = guarded(
                layer, getattr(layer, attribute) or keras.activations.linear
            )
        try:
            yield
        finally:
            for layer, own in zip(layers, before, strict=True):
                del vars(layer)[attribute]
                vars(layer).update(own)
