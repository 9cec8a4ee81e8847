"""What a run costs, in units that do not depend on the machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Passes(NamedTuple):
    """Samples that went through the model.

    Parameters
    ----------
    forward : int
        Forward passes alone.
    step : int
        Optimiser steps: each sample one forward and one backward pass.
    """

    forward: int = 0
    step: int = 0

    def epochs(self, n: int) -> float:
        """The cost in forward passes over `n` samples, a backward pass counting as two.

        Examples
        --------
        >>> from gexcore.passes import Passes
        >>> Passes(forward=100, step=200).epochs(100)
        7.0
        """
        return (self.forward + 3 * self.step) / n


def sum_passes(costs: Iterable[Passes]) -> Passes:
    """All costs together."""
    return Passes(*(sum(column) for column in zip(*costs, strict=True)))
