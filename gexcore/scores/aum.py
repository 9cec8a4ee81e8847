"""Area under the margin (Pleiss et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from gexcore.scores.recorder import Recorder
from gexcore.scores.result import Scores
from gexcore.scores.runs import Runs, recorders_of


@dataclass(frozen=True, kw_only=True)
class AUM:
    """Mean margin of the given class over the training, in logits; **low** = probably mislabelled.

    `Scores.suspicion` is its negative. The mean is over epochs, then over runs.

    Parameters
    ----------
    recorder : Recorder, or list of them
        One for each run, with logits of every epoch up to where wrong labels begin to be memorised.

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

    def fit(
        self,
        model: Any = None,
        data: Any = None,
        *,
        loss: str | Callable[..., Any] | None = None,
        backend: str | None = None,
        progress: bool = True,
    ) -> Scores:
        """Score every sample; arguments as in `gexcore.GEX.fit`, and none needed.

        Raises
        ------
        InvalidDataError
            Where no logits were recorded, or `data` has another number of samples than the recorder.
        """
        runs = Runs(self, model, data, backend=backend)
        return runs.scores(runs.mean("margins"), unit="logits", high="correct")
