"""Data beside those of the fit, such as test sets: read as those, and tried on the model."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.data import as_dataset, to_numpy
from gexcore.backend.protocols import Backend, Dataset
from gexcore.errors import GexWarning, InvalidDataError
from gexcore.evaluation.first_look import understandable
from gexcore.evaluation.given import Names
from gexcore.evaluation.shaping import shaped, without_weights

TRIED = 512
"""The most samples that the model is tried on."""


def other_data(data: Any, names: Names, backend: Backend[Any, Any]) -> Dataset[Any]:
    """Other data in any form that the data of the fit may have.

    Parameters
    ----------
    data : any
    names : Names
        Names in the data of the fit, and its shape.
    backend : Backend

    Raises
    ------
    InvalidDataError
        If the data cannot be read.
    """
    most = getattr(backend, "most_inputs", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GexWarning)  # the data of the fit have said it
        found = as_dataset(names.read(without_weights(data, most)), backend)
    return shaped(found, names.shape)


def test_data(data: Any, names: Names, backend: Backend[Any, Any]) -> Dataset[Any]:
    """Other data whose first samples the model has taken.

    Raises
    ------
    InvalidDataError
        If the data cannot be read, the model cannot take them, or their losses are not finite.
    """
    found = other_data(data, names, backend)
    few = found.batch(np.arange(min(len(found), TRIED)))
    with understandable(few):
        losses = backend.forward(backend.initial_state(), few)
    check_test_losses(to_numpy(losses))
    return found


def check_test_losses(losses: NDArray[Any]) -> None:
    """Refuse losses of θ* on test samples that are not finite.

    Raises
    ------
    InvalidDataError
    """
    bad = ~np.isfinite(losses)
    if bad.any():
        msg = (
            f"the model's loss is not finite for {int(bad.sum())} of {len(losses)} test samples, "
            f"first at position {int(bad.argmax())}; give labels of the model's classes and finite "
            "inputs"
        )
        raise InvalidDataError(msg)
