"""Labels: they follow the entries of an array through equations that only move them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]

UNMOVED = ("convert_element_type", "copy", "copy_p", "sharding_constraint")


@dataclass(frozen=True, eq=False)
class Label:
    """An array with the entries of another array, its source, in other places.

    Parameters
    ----------
    source : int
        Number of the source.
    size : tuple of int
        Shape of the source.
    shape : tuple of int
        Shape of this array, with 1 along axes of repeated entries.
    moves : tuple of JaxprEqn
        Equations from the source to this array.
    alone : bool
        Whether nothing else uses the source, or an array in between.
    """

    source: int
    size: tuple[int, ...]
    shape: tuple[int, ...]
    moves: tuple[Any, ...] = ()
    alone: bool = True

    def moved(self, equation: Any, *, alone: bool) -> Label | None:
        """The label of an equation's result. None if the equation does not only move entries."""
        # lazy, because of large models only some positions are needed
        result = _moved(equation, np.broadcast_to(np.intp(0), self.shape))
        if result is None:
            return None
        return replace(
            self, shape=result.shape, moves=(*self.moves, equation), alone=self.alone and alone
        )

    def places(self) -> Indices:
        """Where each entry stands in the flattened source, an array of `shape`."""
        array: Any = np.arange(math.prod(self.size)).reshape(self.size)
        for equation in self.moves:
            array = _moved(equation, array)
        return np.asarray(array)


def _moved(equation: Any, array: Indices) -> Indices | None:
    params = equation.params
    match equation.primitive.name:
        case name if name in UNMOVED:
            return array
        case "transpose":
            return array.transpose(params["permutation"])
        case "squeeze":
            return array.squeeze(tuple(params["dimensions"]))
        case "broadcast_in_dim":
            shape = [1] * len(params["shape"])
            for axis, n in zip(params["broadcast_dimensions"], array.shape, strict=True):
                shape[axis] = n
            return array.reshape(shape)
        case "reshape" if params["dimensions"] is None:
            return _reshaped(array, equation.invars[0].aval.shape, params["new_sizes"])
    return None


def _reshaped(array: Indices, old: tuple[int, ...], new: tuple[int, ...]) -> Indices | None:
    """Positions reshaped from shape `old` to `new`; None if repeated axes mix with others."""
    wide = [axis for axis, n in enumerate(array.shape) if n > 1]
    start, stop = (wide[0], wide[-1] + 1) if wide else (0, 0)
    if array.shape[start:stop] != old[start:stop]:
        return None
    before, after = math.prod(old[:start]), math.prod(old[stop:])
    for first in range(len(new) + 1):
        for last in range(first, len(new) + 1):
            if math.prod(new[:first]) == before and math.prod(new[last:]) == after:
                return array.reshape((1,) * first + new[first:last] + (1,) * (len(new) - last))
    return None
