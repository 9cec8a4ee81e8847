"""EL2N and GraNd: errors and gradient norms early in training (Paul et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gexcore.backend.protocols import (
    Floats,
    SupportsCheckpoints,
    SupportsLogits,
    SupportsParams,
    SupportsSampleGradients,
)
from gexcore.errors import InvalidDataError
from gexcore.influence.scores import Scores
from gexcore.scores.classes import error_norms
from gexcore.scores.fitting import check_checkpoints
from gexcore.scores.method import EitherScore, ModelScore
from gexcore.scores.recorder import Recorder
from gexcore.scores.runs import Runs, check_sources, known_mean
from gexcore.scores.sweep import Sweep
from gexcore.settings import check_count


@dataclass(frozen=True, kw_only=True)
class EL2N(EitherScore):
    """Mean ‖p − y‖₂ early in training, from 0 to √2; high = probably mislabelled.

    Parameters
    ----------
    recorder : Recorder, or list of them
        One recorder per run. The paper takes about ten.
    checkpoints : list
        One early checkpoint per run, evaluated on the data, instead of recorders.
    epoch : int
        Recorded epoch to read. It does not apply to checkpoints.
    squared : bool
        Whether ‖p − y‖₂² is averaged, as in the paper's public code. With several runs this gives
        another ranking.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.scores import EL2N, Recorder
    >>> recorder = Recorder(samples=2)
    >>> recorder.add([0, 1], logits=np.zeros((2, 2)), labels=[0, 1])
    >>> recorder.epoch(20)
    >>> EL2N(recorder=recorder).fit().values.round(3)
    array([0.707, 0.707])
    """

    recorder: Recorder | Sequence[Recorder] | None = None
    checkpoints: Sequence[Any] = field(default=(), repr=False)
    epoch: int = 20
    squared: bool = False

    def __post_init__(self) -> None:
        check_sources(self.recorder, self.checkpoints, by="EL2N")
        check_count("epoch", self.epoch, least=0, auto=False)

    @property
    def needs(self) -> tuple[type, ...]:
        """Capabilities that the score needs."""
        return (SupportsLogits, SupportsCheckpoints) if self.checkpoints else ()

    @classmethod
    def public_code(cls, **settings: Any) -> EL2N:
        """The setting of the paper's public code: epoch 10 (in the paper 20), squared norms."""
        return cls(**{"epoch": 10, "squared": True, **settings})

    def _from_runs(self, runs: Runs) -> Scores:
        rows = [
            curve[self._row(run)]
            for curve, run in zip(runs.curves("errors"), runs.recorders, strict=True)
        ]
        return runs.scores(
            known_mean(self._power(np.stack(rows).astype(np.float64))), unit=self._unit()
        )

    def _from_model(self, sweep: Sweep) -> Scores:
        labels = sweep.labels()
        return sweep.scores(
            sweep.mean(lambda s: self._power(error_norms(sweep.logits(s), labels))),
            unit=self._unit(),
        )

    def _row(self, run: Recorder) -> int:
        if self.epoch not in run.epochs:
            told = (
                f"{run.epochs[0]} … {run.epochs[-1]}" if len(run.epochs) > 1 else str(run.epochs[0])
            )
            raise InvalidDataError(
                f"epoch {self.epoch} was not recorded; choose one of {told} with epoch=..."
            )
        return run.epochs.index(self.epoch)

    def _unit(self) -> str:
        return (
            "squared distances of probabilities" if self.squared else "distances of probabilities"
        )

    def _power(self, norms: Floats) -> Floats:
        return norms**2 if self.squared else norms


@dataclass(frozen=True, kw_only=True)
class GraNd(ModelScore):
    """‖∇ℓ‖₂ of every sample's loss by the trainable parameters; high = probably mislabelled.

    Parameters
    ----------
    checkpoints : list
        One early checkpoint per run; the score is the mean over them, as published. The default is
        θ*, where a memorised label has hardly any gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.scores import GraNd
    >>> from gexcore_numpy import MLP
    >>> model = MLP([np.array([[-1.0, 1.0]])], [np.zeros(2)])
    >>> GraNd().fit(model, (np.array([[2.0], [2.0]]), np.array([1, 0]))).values.round(2)
    array([0.06, 3.11])
    """

    checkpoints: Sequence[Any] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        check_checkpoints(self.checkpoints)

    @property
    def needs(self) -> tuple[type, ...]:
        """Capabilities that the score needs."""
        own = (SupportsSampleGradients, SupportsParams)
        return (*own, SupportsCheckpoints) if self.checkpoints else own

    def _from_model(self, sweep: Sweep) -> Scores:
        return sweep.scores(
            sweep.mean(sweep.gradient_norms), unit="units of the loss per parameter"
        )
