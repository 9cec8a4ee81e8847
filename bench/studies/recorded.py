"""A training problem as the methods of the study see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import gexcore as gx

CHECKPOINTS = 5
"""Of the last two fifths of the training, evenly spaced, as in the paper."""
EARLY_RUNS = 3
"""Other trainings, broken off early, for EL2N and GraNd."""


class Trained(NamedTuple):
    """A model that has memorised its labels, and everything its training left behind.

    Parameters
    ----------
    x, labels, wrong : arrays
        Inputs, given labels, and which of them are wrong.
    model : native model
    head : native model
        The last layer alone, which takes `features`: derivatives by its parameters are those of the
        whole model by its last layer, without a pass through the rest.
    features : array, shape (samples, h)
        In evaluation mode.
    checkpoints : list
        In the framework's own form.
    recorder : Recorder
        Of the whole training.
    early, early_recorders : list
        Checkpoints and recorders of other trainings after `early_epochs`.
    train : callable
        ``train(x, y, *, seed) -> model``: the whole training again.
    finish : callable
        ``finish((x, y), start, seed) -> model``: a few epochs more from a trained model.
    epochs, early_epochs : int
    recording : float
        Passes over the data that recording one epoch costs.
    seconds : float
        Of the training, CPU time.
    """

    x: np.ndarray
    labels: np.ndarray
    wrong: np.ndarray
    model: Any
    head: Any
    features: np.ndarray
    checkpoints: list[Any]
    recorder: gx.Recorder
    early: list[Any]
    early_recorders: list[gx.Recorder]
    train: Callable[..., Any]
    finish: Callable[..., Any]
    epochs: int
    early_epochs: int
    recording: float
    seconds: float


def kept(epochs: int) -> set[int]:
    """Epochs, from 1, after which a checkpoint is kept."""
    return {round(epochs * share) for share in np.linspace(0.6, 1.0, CHECKPOINTS)}
