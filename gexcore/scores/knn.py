"""Deep k-NN: labels of a sample's neighbours (Bahri et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.protocols import Floats, SupportsCheckpoints, SupportsFeatures, SupportsLogits
from gexcore.errors import InvalidSettingError
from gexcore.influence.scores import Scores
from gexcore.scores.fitting import check_checkpoints
from gexcore.scores.method import ModelScore
from gexcore.scores.neighbours import Metric, label_shares
from gexcore.scores.sweep import Sweep
from gexcore.settings import check_choice, check_count, check_switch

LARGEST_K = 500


@dataclass(frozen=True, kw_only=True)
class DeepKNN(ModelScore):
    """Share of nearest neighbours with another label, 0 to 1; high = probably mislabelled.

    Samples with equal shares are ranked by their loss at θ*. All pairs of samples are compared, in
    blocks. The time grows with the square of the number of samples. The memory does not.

    Parameters
    ----------
    k : int, "auto" or "class_size"
        Number of neighbours. "auto" is a tenth of the mean class size, from 5 to 500. "class_size"
        is N // K.
    features : {"logits", "features"}
        Space of the neighbours: logits (as published), or inputs of the last linear layer.
    metric : {"euclidean", "cosine"}
        Metric of the distances.
    include_self : bool
        Whether the sample counts among its neighbours.
    squared_distance : bool
        Whether the score is ‖ȳ − y‖₂², from 0 to 2. ȳ is the mean one-hot label of the neighbours.
    checkpoints : list
        Checkpoints to average over. The default is θ* alone.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.scores import DeepKNN
    >>> from gexcore_numpy import MLP
    >>> model = MLP([np.eye(2)], [np.zeros(2)])
    >>> x = np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0], [9.0, 0.0], [8.0, 0.0]])
    >>> DeepKNN(k=1).fit(model, (x, np.array([1, 1, 0, 0, 0]))).values
    array([0., 0., 1., 0., 0.])
    """

    k: int | Literal["auto", "class_size"] = "auto"
    features: Literal["logits", "features"] = "logits"
    metric: Metric = "euclidean"
    include_self: bool = False
    squared_distance: bool = False
    checkpoints: Sequence[Any] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not (isinstance(self.k, str) and self.k == "class_size"):
            check_count("k", self.k)
        check_checkpoints(self.checkpoints)
        check_choice("features", self.features, ("logits", "features"))
        check_choice("metric", self.metric, ("euclidean", "cosine"))
        for name in ("include_self", "squared_distance"):
            check_switch(name, getattr(self, name))

    @property
    def needs(self) -> tuple[type, ...]:
        """Capabilities that the score needs."""
        points = SupportsLogits if self.features == "logits" else SupportsFeatures
        return (points, SupportsCheckpoints) if self.checkpoints else (points,)

    @classmethod
    def public_code(cls, **settings: Any) -> DeepKNN:
        """The setting of the paper's public code: N // K neighbours with the sample, ‖ȳ − y‖₂².

        It averages over five checkpoints of the training. Give them as `checkpoints`.
        """
        return cls(
            **{"k": "class_size", "include_self": True, "squared_distance": True, **settings}
        )

    def _from_model(self, sweep: Sweep) -> Scores:
        labels = sweep.labels()
        k = self._settled(len(labels), sweep.seen.classes or int(labels.max()) + 1)

        def measure(state: Any) -> Floats:
            points = sweep.logits(state) if self.features == "logits" else sweep.features(state)
            return self._score(
                label_shares(points, labels, k, metric=self.metric, include_self=self.include_self),
                labels,
            )

        unit = "squared distances of labels" if self.squared_distance else "shares of neighbours"
        return sweep.scores(sweep.mean(measure), unit=unit, tie_break=sweep.seen.losses)

    def _settled(self, samples: int, classes: int) -> int:
        most = samples if self.include_self else samples - 1
        if self.k == "auto":
            return min(most, max(5, min(LARGEST_K, samples // (10 * classes))))
        k = max(1, samples // classes) if self.k == "class_size" else self.k
        if k > most:
            raise InvalidSettingError(
                f"k is {k}, and a sample has {most} neighbours; choose at most that many"
            )
        return k

    def _score(self, shares: Floats, labels: NDArray[np.intp]) -> Floats:
        own = shares[np.arange(len(labels)), labels]
        # ‖ȳ − y‖² = Σ ȳ² − 2 ȳ_m + 1
        return (shares**2).sum(axis=1) - 2 * own + 1 if self.squared_distance else 1 - own
