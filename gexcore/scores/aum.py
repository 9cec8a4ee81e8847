"""Area under the margin (Pleiss et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from gexcore.influence.scores import Scores
from gexcore.scores.method import RecordedScore
from gexcore.scores.recorder import Recorder
from gexcore.scores.runs import Runs, recorders_of


@dataclass(frozen=True, kw_only=True)
class AUM(RecordedScore):
    """Mean margin of the given class over a training, in logits; **low** = probably mislabelled.

    `Scores.suspicion` is its negative. The mean is over epochs, then over runs.

    Parameters
    ----------
    recorder : Recorder, or list of them
        One recorder per run, with logits of every epoch until wrong labels begin to be memorised.

    Examples
    --------
    >>> from gexcore.scores import AUM, Recorder
    >>> recorder = Recorder(samples=2)
    >>> recorder.add([0, 1], logits=[[2.0, 0.0], [2.0, 0.0]], labels=[0, 1])
    >>> recorder.epoch()
    >>> AUM(recorder=recorder).fit().values
    array([ 2., -2.])
    """

    needs: ClassVar[tuple[type, ...]] = ()

    recorder: Recorder | Sequence[Recorder]

    def __post_init__(self) -> None:
        recorders_of(self.recorder)

    def _from_runs(self, runs: Runs) -> Scores:
        return runs.scores(runs.mean("margins"), unit="logits", high="correct")
