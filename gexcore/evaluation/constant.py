"""The loss of a constant prediction, for a loss that only the user knows."""

from __future__ import annotations

from typing import Any

import numpy as np

from gexcore.backend.data import to_numpy
from gexcore.backend.protocols import Backend, Dataset

SHOWN, TRIED = 128, 8
"""Samples whose loss is measured, and predictions that are tried."""


def constant_loss(backend: Backend[Any, Any], data: Dataset[Any]) -> float | None:
    """The median loss of the best constant prediction, in units of the loss.

    The predictions are those of the model for some samples. Each one is held against the targets of
    128 samples. The lowest median counts.

    Parameters
    ----------
    backend : Backend
    data : Dataset
        Batches must be pairs (x, y).

    Returns
    -------
    float or None
        None if batches are no pairs, or the loss is not positive and finite.
    """
    shown = np.unique(np.linspace(0, len(data) - 1, SHOWN).astype(np.intp))
    batch = data.batch(shown)
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        return None
    state, medians = backend.initial_state(), []
    for i in shown[:: max(1, len(shown) // TRIED)]:
        x, _ = data.batch(np.full(len(shown), i))
        losses = to_numpy(backend.forward(state, (x, batch[1])))
        medians.append(float(np.median(losses)))
    found = min(medians)
    return found if np.isfinite(found) and found > 0 else None
