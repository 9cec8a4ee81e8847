"""Confident learning: agreement of labels with models that never saw them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.data import ArrayDataset, to_numpy
from gexcore.backend.protocols import SupportsLogits
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.evaluation.given import together, understood
from gexcore.evaluation.passes import Passes
from gexcore.influence.scores import Scores
from gexcore.scores.fitting import columns_of, given_labels, make_scores, open_data
from gexcore.scores.folds import (
    Fold,
    FoldTraining,
    classifies,
    hold_out,
    make_folds,
    refuse_uncovered,
)
from gexcore.scores.joint import checked_probabilities
from gexcore.scores.quality import Quality, check_quality, cleanlab_quality, label_quality
from gexcore.settings import check_count, check_seed, check_switch


@dataclass(frozen=True, kw_only=True)
class ConfidentLearning:
    """Agreement of labels with out-of-sample probabilities, 0 to 1; **low** = mislabelled.

    `Scores.suspicion` is its negative. `Scores.details` has the ``probabilities``, shape (samples,
    K). From them `confident_joint` estimates which classes are confused.

    Parameters
    ----------
    probabilities : array, shape (samples, K)
        Probabilities from models that were not trained on the sample.
    train : callable or classifier
        Classifier with ``fit`` and ``predict_proba``, of which a copy is trained for each fold; or
        recipe ``train(x, y) -> model`` or ``train(x, y, *, seed) -> model`` for cross-validation on
        (x, y) arrays, instead of probabilities. Its models may be of any framework with a backend.
    folds : int, or list of integer arrays
        Number of models, or the positions that each model scores and is not trained on.
    quality : {"self_confidence", "normalized_margin", "confidence_weighted_entropy"}
        Measure of a label by its probabilities: see `label_quality`.
    adjusted : bool
        Whether to subtract the mean confidence of each class first.
    half_scored : bool
        Whether to score only every second sample, and to give all others the score 1/K. This fault
        of the paper's public code reproduces its numbers.
    through : {"cleanlab"}, optional
        Name of a library that computes the quality.
    seed : int
        Seed of the folds, and of recipes with a seed.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.scores import ConfidentLearning
    >>> p = np.array([[0.75, 0.25], [0.75, 0.25]])
    >>> scores = ConfidentLearning(probabilities=p).fit(data=(np.zeros((2, 1)), np.array([0, 1])))
    >>> scores.values
    array([0.75, 0.25])
    """

    probabilities: Any = field(default=None, repr=False)
    train: FoldTraining | Any | None = None
    folds: int | Sequence[Any] = 5
    quality: Quality = "self_confidence"
    adjusted: bool = False
    half_scored: bool = False
    through: Literal["cleanlab"] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.probabilities is None) == (self.train is None):
            msg = (
                "ConfidentLearning takes either probabilities or a recipe; give one of "
                "probabilities=... and train=..."
            )
            raise InvalidSettingError(msg)
        if self.train is not None and not callable(self.train) and not classifies(self.train):
            raise InvalidSettingError(
                f"train is of type {type(self.train).__name__}; give a callable train(x, y) "
                "-> model, or a classifier with fit and predict_proba"
            )
        if not isinstance(self.folds, list | tuple):
            check_count("folds", self.folds, least=2, auto=False)
        check_seed(self.seed)
        for name in ("adjusted", "half_scored"):
            check_switch(name, getattr(self, name))
        check_quality(self.quality, adjusted=self.adjusted)
        named = isinstance(self.through, str) and self.through == "cleanlab"
        if self.through is not None and not named:
            raise InvalidSettingError(
                f"through is {self.through!r}; allowed are 'cleanlab' and None"
            )

    @property
    def needs(self) -> tuple[type, ...]:
        """Capabilities that the backend of the recipe's models needs."""
        return () if self.train is None or classifies(self.train) else (SupportsLogits,)

    @classmethod
    def public_code(cls, **settings: Any) -> ConfidentLearning:
        """The setting of the paper's public code: two halves, of which one is scored."""
        return cls(**{"half_scored": True, **settings})

    def fit(
        self,
        model: Any = None,
        data: Any = None,
        y: Any = None,
        *,
        label: str | None = None,
        inputs: str | Sequence[str] | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        loss: str | Callable[..., Any] | None = None,
        backend: str | None = None,
        progress: bool = True,
    ) -> Scores:
        """Score every sample. Arguments are those of `gexcore.GEX.fit`; no model is needed.

        Raises
        ------
        InvalidDataError
            If there is no data, targets are no classes, folds do not hold every sample exactly
            once, or rows are no probabilities.
        InvalidModelError
            If the recipe fails.
        MissingExtraError
            If cleanlab is chosen and not installed.
        """
        started = time.perf_counter()
        if data is None:
            raise InvalidDataError(
                "ConfidentLearning judges the labels of data, and got none; call fit(data=(x, y))"
            )
        data = together(data, y, label, inputs, collate_fn)
        judge = label_quality if self.through is None else cleanlab_quality()
        name, passes = None, Passes()
        if self.train is None:
            names = understood(data)[1]
            labels = given_labels(open_data(model, data, backend=backend))
            p = to_numpy(self.probabilities)
        else:
            x, given, names = columns_of(data, tables=classifies(self.train))
            labels = given_labels(ArrayDataset(np.empty((len(given), 0)), given))
            options: dict[str, Any] = {
                "seed": self.seed,
                "loss": loss,
                "backend": backend,
                "progress": progress,
            }
            p, passes, name = hold_out(self.train, x, given, self._folds(labels), **options)
        labels, p = checked_probabilities(labels, p)
        if self.half_scored:
            p = np.where(np.arange(len(p))[:, None] % 2, 1 / p.shape[1], p)
        return make_scores(
            self,
            judge(labels, p, method=self.quality, adjusted=self.adjusted),
            labels=labels,
            names=names,
            unit="agreement from 0 to 1",
            high="correct",
            started=started,
            backend=name,
            classes=p.shape[1],
            passes=passes,
            details={"probabilities": p},
        )

    def _folds(self, labels: NDArray[np.intp]) -> list[Fold]:
        if self.half_scored:
            return [np.arange(0, len(labels), 2)]
        folds = make_folds(labels, self.folds, seed=self.seed)
        refuse_uncovered(folds, len(labels))
        return folds
