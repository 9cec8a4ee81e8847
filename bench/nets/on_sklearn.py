"""The dense net in scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from bench.nets import case
from bench.nets.case import Case
from gexcore_sklearn.backend import SklearnBackend


def cases() -> Iterator[Case]:
    warnings.simplefilter("ignore", ConvergenceWarning)
    x, y = case.vectors(), case.labels()
    model = MLPClassifier(
        case.DENSE[1:-1], solver="sgd", momentum=0.9, nesterovs_momentum=False, alpha=0.0,
            learning_rate_init=1e-12,
        batch_size=case.BATCH_SIZE, shuffle=False, max_iter=1, random_state=0,
    ).fit(x, y)  # fmt: skip
    backend = SklearnBackend(model)
    each = np.arange(len(y))

    def forward() -> np.ndarray:
        return -np.log(model.predict_proba(x)[each, y])

    def step() -> float:
        return model.partial_fit(x, y).loss_

    yield Case("dense", backend, (x, y), forward, step)
