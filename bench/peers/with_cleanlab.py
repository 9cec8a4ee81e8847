"""cleanlab: label quality from five retrainings."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from cleanlab.rank import get_label_quality_scores
from sklearn.model_selection import StratifiedKFold

from bench.peers.case import Case


def folds(case: Case) -> Any:
    probabilities = np.empty((len(case.y), 10))
    splits = StratifiedKFold(5, shuffle=True, random_state=case.seed).split(case.x, case.y)
    for number, (train, rest) in enumerate(splits):
        model = case.fresh(100 + number)
        case.trained(model, case.x[train], case.y[train], epochs=case.training.epochs, seed=number)
        with torch.no_grad():
            probabilities[rest] = model(case.x[rest]).softmax(1).numpy()
    return -get_label_quality_scores(case.y.numpy(), probabilities)


METHODS = {"cleanlab, 5-fold": folds}
