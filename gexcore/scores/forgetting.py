"""Forgetting events of samples during training (Toneva et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.influence.scores import Scores
from gexcore.scores.method import RecordedScore
from gexcore.scores.recorder import Recorder
from gexcore.scores.runs import Runs, recorders_of
from gexcore.settings import check_choice

Counts = NDArray[np.intp]


class Forgotten(NamedTuple):
    """Counts of each sample in one training, all of shape (samples,).

    Parameters
    ----------
    events : integer array
        Number of times that the sample was right at one presentation and wrong at the next.
    presentations : integer array
    first_learnt, last_wrong : integer array
        Presentation, counted from 1; 0 for never.
    """

    events: Counts
    presentations: Counts
    first_learnt: Counts
    last_wrong: Counts


def forgotten(correct: NDArray[Any]) -> Forgotten:
    """Count forgetting events.

    Parameters
    ----------
    correct : array, shape (epochs, samples)
        1 for a right prediction, 0 for a wrong one, NaN for a sample that was not shown.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.scores.forgetting import forgotten
    >>> forgotten(np.array([[0, 1], [1, 0], [0, 0], [1, 0]])).events
    array([1, 1])
    """
    samples = correct.shape[1]
    events, shown, first, last = (np.zeros(samples, np.intp) for _ in range(4))
    before = np.zeros(samples, bool)
    for row in correct:
        seen, right = ~np.isnan(row), row == 1
        shown += seen
        events += seen & before & ~right
        first = np.where(right & (first == 0), shown, first)
        last = np.where(seen & ~right, shown, last)
        before = np.where(seen, right, before)
    return Forgotten(events, shown, first, last)


@dataclass(frozen=True, kw_only=True)
class Forgetting(RecordedScore):
    """Number of forgetting events, summed over runs; high = probably mislabelled.

    Samples with equal numbers are ranked by their mean margin. `Scores.details` has
    ``presentations``, ``first_learnt`` and ``last_wrong`` of `Forgotten`, each of shape (runs,
    samples).

    Parameters
    ----------
    recorder : Recorder, or list of them
        One recorder per run, with logits of every epoch.
    never_learnt : {"max", "zero"}
        Count of a sample that was never right: all its presentations (Toneva et al.), or none.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.scores import Forgetting, Recorder
    >>> recorder = Recorder(samples=2)
    >>> for score in (2.0, -1.0, 1.0):
    ...     recorder.add([0, 1], logits=[[score, 0.0], [9.0, 0.0]], labels=[0, 1])
    ...     recorder.epoch()
    >>> Forgetting(recorder=recorder).fit().values
    array([1., 3.])
    >>> Forgetting.public_code(recorder=recorder).fit().values
    array([1., 0.])
    """

    needs: ClassVar[tuple[type, ...]] = ()

    recorder: Recorder | Sequence[Recorder]
    never_learnt: Literal["max", "zero"] = "max"

    def __post_init__(self) -> None:
        recorders_of(self.recorder)
        check_choice("never_learnt", self.never_learnt, ("max", "zero"))

    @classmethod
    def public_code(cls, **settings: Any) -> Forgetting:
        """The setting of the paper's public code: a sample that was never right counts zero."""
        return cls(**{"never_learnt": "zero", **settings})

    def _from_runs(self, runs: Runs) -> Scores:
        found = [forgotten(curve) for curve in runs.curves("correct")]
        values = np.sum([self._count(run) for run in found], axis=0, dtype=np.float64)
        shown = np.sum([run.presentations for run in found], axis=0)
        details = {
            name: np.stack([getattr(run, name) for run in found]) for name in Forgotten._fields[1:]
        }
        return runs.scores(
            np.where(shown > 0, values, np.nan),
            unit="forgetting events",
            tie_break=-runs.mean("margins"),
            details=details,
        )

    def _count(self, run: Forgotten) -> Counts:
        return (
            run.events
            if self.never_learnt == "zero"
            else np.where(run.first_learnt == 0, run.presentations, run.events)
        )
