"""A check of a run, and the finding that it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.threshold import Suspects
from gexcore.deviations.table import LossTable
from gexcore.deviations.weighting import Weighting
from gexcore.influence.record import Run
from gexcore.influence.transition import Confusion


class Diagnosable(Protocol):
    """The parts of a result that the checks read."""

    @property
    def clip(self) -> float: ...

    @property
    def floor(self) -> float: ...

    @property
    def ceiling(self) -> float: ...

    @property
    def run(self) -> Run: ...

    @property
    def table(self) -> LossTable: ...

    @property
    def labels(self) -> NDArray[np.intp] | None: ...

    @property
    def checkpoint_losses(self) -> NDArray[np.float64]: ...

    @property
    def base_losses(self) -> NDArray[Any]: ...

    @property
    def asked_for_influence(self) -> bool: ...

    @property
    def weighting(self) -> Weighting: ...

    def __len__(self) -> int: ...

    def suspects(self) -> Suspects:
        """Samples above the default threshold."""
        ...

    def reliability(self) -> float:
        """Split-half reliability of suspicion."""
        ...

    def suspicion(self) -> NDArray[np.float64]:
        """The score of every sample; high = probably mislabelled."""
        ...

    def confusion(self) -> Confusion | None:
        """The largest confusion of the data set."""
        ...

    def self_influence(self, *, floor: float | None = None) -> NDArray[np.float64]:
        """E[Δ²] of every sample."""
        ...


class Finding(NamedTuple):
    """A doubt about a run.

    Parameters
    ----------
    name : str
        Name of the check, as in `gexcore.influence.diagnose.CHECKS`.
    number, limit : float
        The measured number, and the limit that it breaks.
    sentence : str
        What the number means and what to do.
    """

    name: str
    number: float
    limit: float
    sentence: str


@dataclass(frozen=True)
class Check:
    """One question about a run.

    Parameters
    ----------
    name : str
    asks : str
        Name of the number.
    measure : callable
        A function that gives the number; NaN if the question has no meaning.
    limit : float
        The largest number that is no finding, or the smallest if `least` is true.
    sentence : str
        Sentence of the finding, with ``{number}`` in place of the number.
    least : bool
    words : callable
        Other words of the sentence by name. It is called only for a finding.
    """

    name: str
    asks: str
    measure: Callable[[Diagnosable], float]
    limit: float
    sentence: str
    least: bool = False
    words: Callable[[Diagnosable], dict[str, Any]] = lambda influence: {}

    def __call__(self, influence: Diagnosable) -> Finding | None:
        """The finding, or None."""
        number = self.measure(influence)
        wrong = number < self.limit if self.least else number > self.limit
        if not wrong:
            return None
        sentence = self.sentence.format(number=number, **self.words(influence))
        return Finding(self.name, number, self.limit, sentence)
