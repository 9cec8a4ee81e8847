"""Ways to use a method: what each takes, what it asks of a backend, what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

SYMBOLS = {
    "N": "samples",
    "p": "parameters that are chosen",
    "M": "members: chains × snapshots",
    "A": "anchors, each about an epoch of steps away",
    "E": "epochs of steps before each member, ¼ by default",
    "R": "epochs of relearning: chains × epochs, and the search before them",
    "S": "draws",
    "C": "checkpoints, 1 where θ* stands for them",
    "J": "Hessian products, or steps of a solve",
    "B": "samples of a batch",
    "h": "share of the data that the Hessian is of",
    "K": "trainings",
}
"""Symbols of the numbers of passes."""


class Count(NamedTuple):
    """A number as a sum of products of `SYMBOLS` and whole numbers; "/N" divides by N."""

    terms: tuple[tuple[str | int, ...], ...]

    def __str__(self) -> str:
        products = ("·".join(map(str, term)).replace("·/", "/") for term in self.terms)
        return " + ".join(products)

    def value(self, symbols: Mapping[str, float]) -> float:
        """The number for these values of the symbols."""
        return sum(math.prod(_factor(factor, symbols) for factor in term) for term in self.terms)


def count(*terms: str | int | tuple[str | int, ...]) -> Count:
    """The sum of these terms, each a factor or a tuple of factors."""
    return Count(tuple(term if isinstance(term, tuple) else (term,) for term in terms))


def _factor(factor: str | int, symbols: Mapping[str, float]) -> float:
    if isinstance(factor, int):
        return factor
    return 1 / symbols[factor[1:]] if factor.startswith("/") else symbols[factor]


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to use a method.

    Parameters
    ----------
    takes : str
        The setting that it is used with, such as "checkpoints"; empty for none.
    settings : mapping
        Others that make the difference.
    needs : tuple of str
        Capabilities that it asks of a backend, by their names in `CAPABILITIES`.
    passes : mapping of str to Count
        Number of passes over all samples, by kind of `gexcore.evaluation.passes.Passes`. Test data
        and statistics of BatchNorm are left out.
    trainings : Count or None
        Number of full trainings.
    """

    takes: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    passes: Mapping[str, Count] = field(default_factory=dict)
    trainings: Count | None = None

    @property
    def arguments(self) -> str:
        """The arguments of a call that uses the method in this way."""
        return ", ".join(
            [
                *([f"{self.takes}=…"] if self.takes else []),
                *(f"{k}={v!r}" for k, v in self.settings.items()),
            ]
        )

    @property
    def cost(self) -> str:
        """The passes for people to read."""
        found = [f"{number} {kind}" for kind, number in self.passes.items()]
        found += [f"{self.trainings} trainings"] if self.trainings else []
        return ", ".join(found) or "none"
