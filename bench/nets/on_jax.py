"""The models in JAX: the dense net as a function, the others in Flax NNX."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from bench.nets import case
from bench.nets.case import Case
from gexcore_jax.backend import JaxBackend


def mlp(params: list[tuple[Any, Any]], x: jax.Array) -> jax.Array:
    for weight, bias in params[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    weight, bias = params[-1]
    return x @ weight + bias


class Convolutional(nnx.Module):
    """Two convolutions with BatchNorm."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        a, b = case.CHANNELS
        self.first, self.norm1 = nnx.Conv(1, a, (3, 3), 2, rngs=rngs), nnx.BatchNorm(a, rngs=rngs)
        self.second, self.norm2 = nnx.Conv(a, b, (3, 3), 2, rngs=rngs), nnx.BatchNorm(b, rngs=rngs)
        self.head = nnx.Linear(b * 49, case.CLASSES, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.relu(self.norm1(self.first(x)))
        x = nnx.relu(self.norm2(self.second(x)))
        return self.head(x.reshape(len(x), -1))


class Block(nnx.Module):
    """One layer of the encoder."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        width = case.WIDTH
        self.attention = nnx.MultiHeadAttention(
            case.HEADS,
            width,
            dropout_rate=case.DROPOUT,
            broadcast_dropout=False,
            decode=False,
            rngs=rngs,
        )
        self.norm1, self.norm2 = nnx.LayerNorm(width, rngs=rngs), nnx.LayerNorm(width, rngs=rngs)
        self.up = nnx.Linear(width, case.HIDDEN, rngs=rngs)
        self.down = nnx.Linear(case.HIDDEN, width, rngs=rngs)
        self.drop = nnx.Dropout(case.DROPOUT, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.norm1(x + self.drop(self.attention(x)))
        return self.norm2(x + self.drop(self.down(self.drop(nnx.relu(self.up(x))))))


class Encoder(nnx.Module):
    """A transformer encoder with a classifier on the mean of its outputs."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.tokens = nnx.Embed(case.VOCABULARY, case.WIDTH, rngs=rngs)
        self.places = nnx.Param(rngs.normal((case.LENGTH, case.WIDTH)))
        self.blocks = nnx.List([Block(rngs) for _ in range(case.BLOCKS)])
        self.head = nnx.Linear(case.WIDTH, case.CLASSES, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.tokens(x) + self.places
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(1))


Apply = Callable[[Any, Any, jax.Array, bool], tuple[jax.Array, Any]]
"""Parameters, other variables, inputs and training mode, to scores and other variables."""


def cases() -> Iterator[Case]:
    rng = np.random.default_rng(0)
    params = [
        (jnp.asarray(rng.normal(0, np.sqrt(2 / a), (a, b)), jnp.float32), jnp.zeros(b))
        for a, b in pairwise(case.DENSE)
    ]
    yield by_hand(
        "dense",
        (mlp, params),
        lambda p, rest, x, training: (mlp(p, x), rest),
        params,
        (),
        case.vectors(),
    )
    for name, model, x in (
        ("conv + BatchNorm", Convolutional(nnx.Rngs(0)), case.images()),
        ("transformer encoder", Encoder(nnx.Rngs(0)), case.tokens()),
    ):
        yield by_hand(name, model, *split(model), x)


def split(model: Any) -> tuple[Apply, Any, Any]:
    """An NNX module as a function, with the leaves of its variables: the fastest way to call it."""
    graphs = {}
    for training in (False, True):
        model.train() if training else model.eval()
        graphs[training], params, rest = nnx.split(model, nnx.Param, ...)
    leaves, tree = jax.tree.flatten(params)
    others, other_tree = jax.tree.flatten(rest)

    def apply(leaves: Any, others: Any, x: jax.Array, training: bool) -> tuple[jax.Array, Any]:
        net = nnx.merge(
            graphs[training],
            jax.tree.unflatten(tree, leaves),
            jax.tree.unflatten(other_tree, others),
        )
        return net(x), jax.tree.leaves(nnx.split(net, nnx.Param, ...)[2])

    return apply, leaves, others


def by_hand(
    name: str, model: Any, apply: Apply, params: Any, rest: Any, inputs: np.ndarray
) -> Case:
    backend = JaxBackend(model)
    x, y = jnp.asarray(inputs), jnp.asarray(case.labels())

    def losses_of(
        params: Any, rest: Any, x: jax.Array, y: jax.Array, training: bool
    ) -> tuple[jax.Array, Any]:
        scores, rest = apply(params, rest, x, training)
        return -jnp.take_along_axis(jax.nn.log_softmax(scores), y[:, None], axis=1)[:, 0], rest

    @jax.jit
    def losses(params: Any, rest: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        return losses_of(params, rest, x, y, False)[0]

    @partial(jax.jit, donate_argnums=(0, 1, 2))
    def train(params: Any, velocity: Any, rest: Any, x: jax.Array, y: jax.Array) -> Any:
        def loss(params: Any) -> tuple[jax.Array, Any]:
            values, after = losses_of(params, rest, x, y, True)
            return values.mean(), after

        (value, after), gradient = jax.value_and_grad(loss, has_aux=True)(params)
        velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, gradient)
        return jax.tree.map(lambda p, v: p - 0.0 * v, params, velocity), velocity, after, value

    own = jax.tree.map(jnp.copy, (params, jax.tree.map(jnp.zeros_like, params), rest))

    def step() -> float:
        nonlocal own
        *own, value = train(*own, x, y)
        return float(value)

    return Case(name, backend, (x, y), lambda: losses(params, rest, x, y), step)
