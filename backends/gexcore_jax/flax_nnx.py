"""Flax NNX modules as pure functions."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from gexcore_jax.models import JaxModel
from gexcore_jax.paths import named


def from_nnx(module: nnx.Module) -> JaxModel:
    """A `JaxModel` of an NNX module, whose ``nnx.Param`` variables are trained.

    Averages of BatchNorm and all other variables are buffers. Modes are those of ``module.train()``
    and ``module.eval()``. In every call, streams from its key replace the module's random streams.
    So the counts of the streams do not matter.
    """
    graphs = {training: _graph(module, training) for training in (False, True)}
    _, params, streams, buffers = _split(module)
    params_tree = jax.tree.structure(params)
    # NNX flattens its own containers in Python, at every call
    leaves = _leaves(params)
    buffers_leaves, buffers_tree = jax.tree.flatten(buffers)

    def apply(
        values: Any, kept: Any, *args: Any, training: bool, key: jax.Array, **kwargs: Any
    ) -> tuple[Any, tuple[Any, ...]]:
        net = nnx.merge(
            graphs[training],
            jax.tree.unflatten(params_tree, values.values()),
            _seeded(streams, key),
            jax.tree.unflatten(buffers_tree, kept),
        )
        scores = net(*args, **kwargs)
        # a sown value is no buffer, because it did not exist before
        nnx.pop(net, nnx.Intermediate)
        return scores, tuple(jax.tree.leaves(_split(net)[3]))

    statistics = bool(jax.tree.leaves(nnx.state(module, nnx.BatchStat)))
    return JaxModel(apply, leaves, tuple(buffers_leaves), statistics)


def arrays_of(state: Any) -> tuple[OrderedDict[str, Any], tuple[Any, ...]]:
    """Parameters and buffers of ``nnx.state(module)``, in the form of `from_nnx`."""
    params, _, buffers = nnx.split_state(state, nnx.Param, nnx.RngState, ...)
    return _leaves(params), tuple(jax.tree.leaves(buffers))


def _leaves(params: Any) -> OrderedDict[str, Any]:
    return OrderedDict((name.removesuffix(".value"), leaf) for name, leaf in named(params).items())


def _split(module: Any) -> tuple[Any, Any, Any, Any]:
    graph, *states = nnx.split(module, nnx.Param, nnx.RngState, ...)
    params, streams, buffers = states
    return graph, params, streams, buffers


def _graph(module: Any, training: bool) -> Any:
    copied = nnx.clone(module)
    if training:
        copied.train()
    else:
        copied.eval()
    return _split(copied)[0]


def _seeded(streams: Any, key: jax.Array) -> Any:
    leaves, tree = jax.tree.flatten(streams)
    fresh = []
    for number, leaf in enumerate(leaves):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            own = jax.random.fold_in(key, number)
            leaf = jax.random.split(own, leaf.shape) if leaf.shape else own
        fresh.append(leaf)
    return jax.tree.unflatten(tree, fresh)
