"""Kronecker-factored Fisher statistics of linear and convolutional layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from gexcore.backend.kronecker import KroneckerBlock
from gexcore_jax.data import Call, full
from gexcore_jax.jaxprs import bind, flattened, interpret
from gexcore_jax.labels import Indices
from gexcore_jax.layers import Layer, layers_of

AT_ONCE = 2**25
"""The most numbers of unfolded input in memory together: 128 MB in float32."""


@dataclass(frozen=True, eq=False)
class Where:
    """The place of a layer's weights.

    Parameters
    ----------
    parameter : int
        Number of the weight among the leaves of the parameters.
    positions : integer array, shape (o, i)
        Positions of a `KroneckerBlock`.
    """

    parameter: int
    positions: Indices


# compiled code passes it on unchanged
jax.tree_util.register_pytree_node(Where, lambda where: ((), where), lambda where, _: where)


class Factors(NamedTuple):
    """A `KroneckerBlock` without its name."""

    where: Where
    inputs: jax.Array
    outputs: jax.Array


def factors(
    outputs_of: Callable[[Any, Any, Call], Any],
    loss: Callable[[Any, Any], jax.Array],
    params: Any,
    buffers: Any,
    call: Call,
) -> list[Factors]:
    """Statistics of every layer with its own weight in `params`. This function is compiled.

    Layers in loops, branches and functions with a custom derivative are left out. So are layers
    that do not see every sample equally often.

    Parameters
    ----------
    outputs_of : callable
        Function from parameters, buffers and call to the model's output.
    loss : callable
        Function from output and target to losses of shape (b,).
    """
    flat, tree = flattened(outputs_of, params, buffers, call)
    leaves = jax.tree.leaves(params)
    starts = dict(enumerate(np.cumsum([0, *(leaf.size for leaf in leaves)])[:-1].tolist()))
    layers = [
        layer
        for layer in layers_of(flat, len(jax.tree.leaves((params, buffers))))
        if layer.weight.source in starts and layer.weight.alone and layer.rows % call.size == 0
    ]
    if not layers:
        return []
    layers.sort(key=lambda layer: layer.weight.source)
    args = jax.tree.leaves((params, buffers, call))

    def total(moves: Sequence[jax.Array]) -> tuple[jax.Array, list[jax.Array]]:
        scores, inputs = _watched(flat, args, layers, moves)
        return loss(jax.tree.unflatten(tree, scores), call.target).sum(), inputs

    still = [jnp.zeros(layer.output.shape, layer.output.dtype) for layer in layers]
    signals, inputs = jax.grad(total, has_aux=True)(still)
    found = []
    for layer, signal, entering in zip(layers, signals, inputs, strict=True):
        rows = full(layer.form.outputs(signal))
        where = Where(layer.weight.source, layer.positions(starts))
        where.positions.flags.writeable = False  # given to every caller
        moment = _second_moment(
            layer, entering, where.positions.shape[1], has_bias=layer.has_bias(starts)
        )
        found.append(Factors(where, moment / call.size, rows.T @ rows / layer.rows))
    return found


def blocks(found: Sequence[Factors], names: Sequence[str]) -> list[KroneckerBlock]:
    """The factors with the names of their weights."""
    return [
        KroneckerBlock(names[w.parameter], w.positions, inputs, outputs)
        for w, inputs, outputs in found
    ]


def _watched(
    flat: ClosedJaxpr, args: Sequence[Any], layers: Sequence[Layer], moves: Sequence[jax.Array]
) -> tuple[list[Any], list[jax.Array]]:
    """Results of the program with a moved output of each layer, and the inputs of the layers."""
    numbers = {id(layer.equation): number for number, layer in enumerate(layers)}
    inputs: list[Any] = [None] * len(layers)

    def rule(equation: Any, values: list[Any]) -> Sequence[Any]:
        results = bind(equation, values)
        number = numbers.get(id(equation))
        if number is None:
            return results
        inputs[number] = values[1 - layers[number].side]
        return [results[0] + moves[number]]

    return interpret(flat, args, rule), inputs


def _second_moment(layer: Layer, inputs: jax.Array, size: int, *, has_bias: bool) -> jax.Array:
    """Sum of a aᵀ over all rows, shape (i, i), where a is the input of one output's weights."""

    def of(part: jax.Array) -> jax.Array:
        rows = full(layer.form.inputs(part))
        rows = jnp.pad(rows, ((0, 0), (0, 1)), constant_values=1) if has_bias else rows
        return rows.T @ rows

    cut = layer.form.cut
    if cut is None:
        return of(inputs)
    n, pieces = inputs.shape[cut], math.ceil(layer.rows * size / AT_ONCE)
    pieces = next((k for k in range(max(pieces, 1), n) if n % k == 0), n)
    parts = jnp.moveaxis(inputs, cut, 0).reshape(pieces, n // pieces, *np.delete(inputs.shape, cut))
    start = jnp.zeros((size, size), full(inputs).dtype)
    return jax.lax.scan(
        lambda sum_, part: (sum_ + of(jnp.moveaxis(part, 0, cut)), None), start, parts
    )[0]
