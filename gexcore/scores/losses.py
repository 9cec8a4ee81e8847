"""Loss and margin: scores of a trained model, or its history, without any gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gexcore.backend.protocols import SupportsCheckpoints, SupportsLogits
from gexcore.influence.scores import Scores
from gexcore.scores.classes import margins
from gexcore.scores.method import EitherScore, ModelScore
from gexcore.scores.recorder import Recorder
from gexcore.scores.runs import Runs, check_sources
from gexcore.scores.sweep import Sweep


@dataclass(frozen=True, kw_only=True)
class Loss(ModelScore):
    """Loss of every sample at θ*, in nats for cross-entropy; high = probably mislabelled.

    This is the baseline. It takes one pass. It cannot see labels that the model has memorised.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.scores import Loss
    >>> from gexcore_numpy import MLP
    >>> model = MLP([np.array([[-1.0, 1.0]])], [np.zeros(2)])
    >>> scores = Loss().fit(model, (np.array([[2.0], [2.0]]), np.array([1, 0])))
    >>> scores.suspicion().round(2)
    array([0.02, 4.02])
    """

    needs: ClassVar[tuple[type, ...]] = ()

    def _from_model(self, sweep: Sweep) -> Scores:
        return sweep.scores(sweep.seen.losses, unit="units of the loss")


@dataclass(frozen=True, kw_only=True)
class Margin(ModelScore):
    """Logit of the given class minus the largest other logit; **low** = probably mislabelled.

    `Scores.suspicion` is its negative.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.scores import Margin
    >>> from gexcore_numpy import MLP
    >>> model = MLP([np.array([[-1.0, 1.0]])], [np.zeros(2)])
    >>> Margin().fit(model, (np.array([[2.0], [2.0]]), np.array([1, 0]))).values
    array([ 4., -4.])
    """

    needs: ClassVar[tuple[type, ...]] = (SupportsLogits,)

    def _from_model(self, sweep: Sweep) -> Scores:
        labels = sweep.labels()
        return sweep.scores(
            sweep.mean(lambda s: margins(sweep.logits(s), labels)), unit="logits", high="correct"
        )


@dataclass(frozen=True, kw_only=True)
class MeanMemberLoss(EitherScore):
    """Mean loss of every sample over checkpoints of the training; high = probably mislabelled.

    With checkpoints it is hard to beat, because wrong labels are learnt late.

    Parameters
    ----------
    checkpoints : list
        Checkpoints in the framework's form (`gexcore.backend.protocols.SupportsCheckpoints`). They
        are evaluated on the data.
    recorder : Recorder, or list of them
        Recorded losses instead of checkpoints, averaged over epochs, then over runs.

    Examples
    --------
    >>> from gexcore.scores import MeanMemberLoss, Recorder
    >>> recorder = Recorder(samples=2)
    >>> for early in (1.0, 0.5):
    ...     recorder.add([0, 1], losses=[0.0, early])
    ...     recorder.epoch()
    >>> MeanMemberLoss(recorder=recorder).fit().values
    array([0.  , 0.75])
    """

    checkpoints: Sequence[Any] = field(default=(), repr=False)
    recorder: Recorder | Sequence[Recorder] | None = None

    def __post_init__(self) -> None:
        check_sources(self.recorder, self.checkpoints, by="MeanMemberLoss")

    @property
    def needs(self) -> tuple[type, ...]:
        """Capabilities that the score needs."""
        return (SupportsCheckpoints,) if self.checkpoints else ()

    def _from_runs(self, runs: Runs) -> Scores:
        return runs.scores(runs.mean("losses"), unit="units of the loss")

    def _from_model(self, sweep: Sweep) -> Scores:
        return sweep.scores(sweep.mean(sweep.losses), unit="units of the loss")
