"""Passes: the cost of a run in units that do not depend on the machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Passes(NamedTuple):
    """Samples that went through the model, and parameter vectors held beside it.

    Parameters
    ----------
    forward : int
        Forward passes alone.
    step : int
        Samples in optimiser steps, each with one forward and one backward pass.
    jvp : int
        Directional derivatives of samples, each along one direction.
    hvp : int
        Samples in products with the Hessian.
    gradient : int
        Gradients of single samples, or of layer outputs for Kronecker factors.
    copies : int
        Vectors of all trainable parameters in memory at once: states, directions, basis vectors.
    """

    forward: int = 0
    step: int = 0
    jvp: int = 0
    hvp: int = 0
    gradient: int = 0
    copies: int = 0

    def epochs(self, n: int) -> float:
        """The cost in forward passes over `n` samples.

        A step and a gradient count as three (the backward pass is two). A directional derivative
        counts as three (forward mode takes two to three). A Hessian product counts as six. Memory
        counts nothing.

        Examples
        --------
        >>> from gexcore.evaluation.passes import Passes
        >>> Passes(forward=100, step=200).epochs(100)
        7.0
        """
        return (self.forward + 3 * (self.step + self.jvp + self.gradient) + 6 * self.hvp) / n


def sum_passes(costs: Iterable[Passes]) -> Passes:
    """The sum of all costs."""
    return Passes(*(sum(column) for column in zip(*costs, strict=True)))
