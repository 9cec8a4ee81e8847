"""A store tells models apart that have the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from flax import linen, nnx

from gexcore.backend.structure import structure_of
from gexcore_jax.backend import JaxBackend
from gexcore_jax.models import JaxModel


def plain(slope: float) -> Any:
    @jax.jit
    def apply(params: Any, x: Any) -> Any:
        return jax.nn.leaky_relu(x @ params["w"], slope)

    return apply, {"w": jnp.ones((3, 2))}


class Net(nnx.Module):
    def __init__(self, rate: float, rngs: nnx.Rngs) -> None:
        self.layer = nnx.Linear(3, 2, rngs=rngs)
        self.dropout = nnx.Dropout(rate, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.layer(self.dropout(x))


class Linen(linen.Module):
    rate: float

    @linen.compact
    def __call__(self, x: Any, training: bool) -> Any:
        return linen.Dense(2)(linen.Dropout(self.rate, deterministic=not training)(x))


def of_linen(rate: float) -> Any:
    net = Linen(rate)
    params = net.init(jax.random.key(0), jnp.ones((1, 3)), False)["params"]

    def apply(params: Any, buffers: Any, x: Any, *, training: bool, key: Any) -> Any:
        return net.apply({"params": params}, x, training, rngs={"dropout": key}), buffers

    return JaxModel(apply, params)


class Equinox(eqx.Module):
    layer: eqx.nn.Linear
    dropout: eqx.nn.Dropout

    def __init__(self, rate: float) -> None:
        self.layer = eqx.nn.Linear(3, 2, key=jax.random.key(0))
        self.dropout = eqx.nn.Dropout(rate)

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        return self.layer(self.dropout(x, key=key))


MAKERS: dict[str, Callable[[float], Any]] = {
    "plain": plain,
    "nnx": lambda rate: Net(rate, nnx.Rngs(0)),
    "linen": of_linen,
    "equinox": Equinox,
}


@pytest.mark.parametrize("kind", MAKERS)
def test_equal_models_have_one_digest_and_settings_count(kind: str) -> None:
    one, same, other = (
        structure_of(JaxBackend(MAKERS[kind](rate)).structure()) for rate in (0.1, 0.1, 0.2)
    )
    assert not one.unread
    assert one == same
    assert one.digest != other.digest
