"""ResNet-18 and ViT-S/32 in JAX, the framework of the paper's authors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bench.nets.on_jax import split
from gexcore_jax.models import JaxModel
from gexcore_jax.state import JaxState


def conv(inputs: int, outputs: int, side: int, stride: int, rngs: nnx.Rngs, **how: Any) -> nnx.Conv:
    """A convolution with the padding of PyTorch."""
    padding = [(side // 2, side // 2)] * 2 if stride == 1 or side > 1 else "VALID"
    return nnx.Conv(inputs, outputs, (side, side), stride, padding=padding, rngs=rngs, **how)


class Block(nnx.Module):
    """A residual block: two convolutions with BatchNorm."""

    def __init__(self, inputs: int, outputs: int, stride: int, rngs: nnx.Rngs) -> None:
        self.first = conv(inputs, outputs, 3, stride, rngs, use_bias=False)
        self.norm1 = nnx.BatchNorm(outputs, rngs=rngs)
        self.second = conv(outputs, outputs, 3, 1, rngs, use_bias=False)
        self.norm2 = nnx.BatchNorm(outputs, rngs=rngs)
        self.same = stride == 1 and inputs == outputs
        if not self.same:
            self.skip = conv(inputs, outputs, 1, stride, rngs, use_bias=False)
            self.norm3 = nnx.BatchNorm(outputs, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        hidden = self.norm2(self.second(nnx.relu(self.norm1(self.first(x)))))
        return nnx.relu(hidden + (x if self.same else self.norm3(self.skip(x))))


class ResNet18(nnx.Module):
    """ResNet-18 with the stem for small pictures."""

    def __init__(self, rngs: nnx.Rngs, classes: int, colours: int = 3, width: int = 64) -> None:
        self.stem = conv(colours, width, 3, 1, rngs, use_bias=False)
        self.norm = nnx.BatchNorm(width, rngs=rngs)
        blocks, channels = [], width
        for times, stride in ((1, 1), (2, 2), (4, 2), (8, 2)):
            blocks += [Block(channels, width * times, stride, rngs),
                       Block(width * times, width * times, 1, rngs)]  # fmt: skip
            channels = width * times
        self.blocks = nnx.List(blocks)
        self.head = nnx.Linear(channels, classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.relu(self.norm(self.stem(x.transpose(0, 2, 3, 1))))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((1, 2)))


class Attention(nnx.Module):
    """A block of ViT."""

    def __init__(self, width: int, heads: int, rngs: nnx.Rngs) -> None:
        self.norm1, self.norm2 = nnx.LayerNorm(width, rngs=rngs), nnx.LayerNorm(width, rngs=rngs)
        self.mix = nnx.MultiHeadAttention(heads, width, decode=False, rngs=rngs)
        self.up = nnx.Linear(width, 4 * width, rngs=rngs)
        self.down = nnx.Linear(4 * width, width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.mix(self.norm1(x))
        return x + self.down(nnx.gelu(self.up(self.norm2(x))))


class ViT(nnx.Module):
    """ViT-S/32."""

    def __init__(
        self, rngs: nnx.Rngs, classes: int, colours: int = 3, side: int = 224, patch: int = 32,
        width: int = 384, heads: int = 6, depth: int = 12,
    ) -> None:  # fmt: skip
        self.embed = nnx.Conv(colours, width, (patch, patch), patch, padding="VALID", rngs=rngs)
        self.token = nnx.Param(jnp.zeros((1, 1, width)))
        places = 0.02 * jax.random.normal(rngs.params(), (1, (side // patch) ** 2 + 1, width))
        self.places = nnx.Param(places)
        self.blocks = nnx.List([Attention(width, heads, rngs) for _ in range(depth)])
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.head = nnx.Linear(width, classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.embed(x.transpose(0, 2, 3, 1))
        x = x.reshape(len(x), -1, x.shape[-1])
        token = jnp.broadcast_to(self.token[...], (len(x), 1, x.shape[-1]))
        x = jnp.concatenate([token, x], axis=1) + self.places[...]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


NETS: dict[str, Any] = {"resnet18": ResNet18, "vit": ViT}


def build(net: str, *, seed: int, **settings: Any) -> JaxModel:
    """A net with the starting weights of the seed, as a pure function."""
    apply, params, buffers = split(NETS[net](nnx.Rngs(seed), **settings))

    def run(params: Any, buffers: Any, x: jax.Array, *, training: bool, key: Any) -> Any:
        return apply(params, buffers, x, training)

    return JaxModel(run, params, buffers, statistics=net == "resnet18")


def native(model: JaxModel, state: JaxState) -> JaxModel:
    """The model at a state, in memory of its own: the next step takes away the state's."""
    own = jax.tree.map(jnp.copy, (state.params, state.buffers))
    return replace(model, params=own[0], buffers=own[1])


def sigmoid_loss(output: jax.Array, target: jax.Array) -> jax.Array:
    """The multi-label loss: a sigmoid cross-entropy of each class, summed; shape (b,)."""
    if not jnp.issubdtype(target.dtype, jnp.floating):
        target = jax.nn.one_hot(target, output.shape[1], dtype=output.dtype)
    losses = jnp.maximum(output, 0) - output * target + jnp.log1p(jnp.exp(-jnp.abs(output)))
    return losses.sum(1)
