"""The linear and convolutional layers of a model, found in the equations of its forward pass."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from gexcore_jax.labels import Indices, Label


class Form(NamedTuple):
    """The form of the product of a weight and its input.

    Parameters
    ----------
    table : callable
        Function from an array like the weight to shape (o, i).
    inputs : callable
        Function from the layer's input to the inputs of one output's weights, shape (rows, i).
    outputs : callable
        Function from an array like the output to shape (rows, o), in the same order.
    channels : tuple of int
        Shape of the output, with 1 for every axis of rows.
    cut : int, optional
        Axis along which the input is cut if `inputs` takes much memory.
    """

    table: Callable[[Indices], Indices]
    inputs: Callable[[jax.Array], jax.Array]
    outputs: Callable[[jax.Array], jax.Array]
    channels: tuple[int, ...]
    cut: int | None = None


@dataclass(frozen=True, eq=False)
class Layer:
    """A parameter that is multiplied with values that depend on the samples.

    Parameters
    ----------
    equation : JaxprEqn
    side : int
        Number of the operand that is the weight. The other operand is the input.
    form : Form
    weight : Label
        Weight. Its `alone` is false if the parameter has another use.
    bias : Label, optional
        Parameter that is added to the output before any other use, and to nothing else.
    channels : array
        Row of the table of each entry of `bias`.
    """

    equation: Any
    side: int
    form: Form
    weight: Label
    bias: Label | None = None
    channels: Indices | tuple[()] = ()

    @property
    def output(self) -> Any:
        """Shape and dtype of the layer's output."""
        return self.equation.outvars[0].aval

    @property
    def rows(self) -> int:
        """Number of applications of the layer to one input, over all samples."""
        return int(self.output.size // math.prod(self.form.channels))

    def positions(self, starts: dict[int, int]) -> Indices:
        """Positions of the weights in a parameter vector, shape (o, i); a bias is last.

        Parameters
        ----------
        starts : dict
            Place of each parameter in the vector, by its number.
        """
        table = self.form.table(self.weight.places()) + starts[self.weight.source]
        if self.bias is None or self.bias.source not in starts:
            return table
        column = np.empty((len(table), 1), np.intp)
        column[np.ravel(self.channels)] = (
            self.bias.places().reshape(-1, 1) + starts[self.bias.source]
        )
        return np.concatenate([table, column], axis=1)

    def has_bias(self, starts: dict[int, int]) -> bool:
        """Whether the bias has a place in `starts`."""
        return self.bias is not None and self.bias.source in starts


def layers_of(flat: ClosedJaxpr, parameters: int) -> list[Layer]:
    """The layers in the order of their application.

    Parameters
    ----------
    flat : ClosedJaxpr
        Program of a forward pass, from `gexcore_jax.jaxprs.flattened`.
    parameters : int
        Number of arguments that are parameters. They come first, and the batch follows.
    """
    jaxpr = flat.jaxpr
    uses = Counter(
        atom for equation in jaxpr.eqns for atom in equation.invars if not isinstance(atom, Literal)
    )
    uses.update(atom for atom in jaxpr.outvars if not isinstance(atom, Literal))
    shapes = [variable.aval.shape for variable in jaxpr.invars[:parameters]]
    weights = {
        variable: Label(number, shape, shape, alone=uses[variable] == 1)
        for number, (variable, shape) in enumerate(zip(jaxpr.invars, shapes, strict=False))
    }
    outputs: dict[Any, Label] = {}
    fed = set(jaxpr.invars[parameters:])
    found: list[Layer] = []
    for equation in jaxpr.eqns:
        if not equation.outvars:  # such as a print
            continue
        operands = [None if isinstance(atom, Literal) else atom for atom in equation.invars]
        result, alone = equation.outvars[0], uses[equation.outvars[0]] == 1
        if not fed.isdisjoint(operands):
            fed.update(equation.outvars)
        for labels in (weights, outputs):
            if len(operands) == 1 and operands[0] in labels:
                moved = labels[operands[0]].moved(equation, alone=alone)
                labels.update({} if moved is None else {result: moved})
        if equation.primitive.name == "add":
            _add_bias(found, operands, weights, outputs)
        layer = _layer(equation, operands, weights, fed)
        if layer is not None:
            outputs[result] = Label(
                len(found), layer.form.channels, layer.form.channels, alone=alone
            )
            found.append(layer)
    return found


def _layer(
    equation: Any, operands: list[Any], weights: dict[Any, Label], fed: set[Any]
) -> Layer | None:
    form_of = FORMS.get(equation.primitive.name)
    if form_of is None:
        return None
    for side in (0, 1):
        weight = weights.get(operands[side])
        if (
            weight is not None
            and weight.shape == operands[side].aval.shape
            and operands[1 - side] in fed
        ):
            form = form_of(equation, side)
            return form and Layer(equation, side, form, weight)
    return None


def _add_bias(
    found: list[Layer], operands: list[Any], weights: dict[Any, Label], outputs: dict[Any, Label]
) -> None:
    for one, other in (operands, operands[::-1]):
        output, bias = outputs.get(one), weights.get(other)
        # with equal shapes: one entry per channel, along the same axes
        if (
            output is not None
            and bias is not None
            and output.alone
            and bias.alone
            and output.shape == bias.shape
        ):
            found[output.source] = replace(
                found[output.source], bias=bias, channels=output.places()
            )


def _dense(equation: Any, side: int) -> Form | None:
    contracted, batched = equation.params["dimension_numbers"]
    if any(batched):
        return None
    weight, inputs = (
        _Axes.of(equation.invars[k].aval.shape, tuple(contracted[k])) for k in (side, 1 - side)
    )
    o, rows = weight.free_size, inputs.free_size
    ones = (1,) * len(inputs.free)
    return Form(
        lambda array: array.transpose(weight.order).reshape(o, -1),
        lambda array: array.transpose(inputs.order).reshape(rows, -1),
        # free axes of the left operand come first
        (lambda array: array.reshape(rows, o))
        if side
        else (lambda array: array.reshape(o, rows).T),
        (*ones, *weight.free) if side else (*weight.free, *ones),
    )


class _Axes(NamedTuple):
    """Axes of an operand: free axes first, then summed axes."""

    order: tuple[int, ...]
    free: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...], contracted: tuple[int, ...]) -> _Axes:
        free = tuple(axis for axis in range(len(shape)) if axis not in contracted)
        return cls((*free, *contracted), tuple(shape[axis] for axis in free))

    @property
    def free_size(self) -> int:
        return math.prod(self.free)


def _convolution(equation: Any, side: int) -> Form | None:
    params = equation.params
    if side != 1 or params["feature_group_count"] != 1 or params["batch_group_count"] != 1:
        return None
    lhs, rhs, out = params["dimension_numbers"]
    kernel = equation.invars[1].aval.shape
    o, *spatial = (kernel[axis] for axis in (rhs[0], *rhs[2:]))

    def patches(array: jax.Array) -> jax.Array:
        # by channel first, then by place in the kernel, like the table
        found = jax.lax.conv_general_dilated_patches(
            array.transpose(lhs),
            spatial,
            params["window_strides"],
            params["padding"],
            params["lhs_dilation"],
            params["rhs_dilation"],
            precision=jax.lax.Precision.HIGHEST,
        )
        return jnp.moveaxis(found, 1, -1).reshape(-1, found.shape[1])

    return Form(
        lambda array: array.transpose(rhs).reshape(o, -1),
        patches,
        lambda array: jnp.moveaxis(array.transpose(out), 1, -1).reshape(-1, o),
        tuple(o if axis == out[1] else 1 for axis in range(len(out))),
        cut=lhs[0],
    )


FORMS: dict[str, Callable[[Any, int], Form | None]] = {
    "dot_general": _dense,
    "conv_general_dilated": _convolution,
}
"""Forms by the name of the primitive."""
