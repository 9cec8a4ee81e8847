"""Start states: where the chains of an ensemble begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import require
from gexcore.backend.data import to_numpy
from gexcore.backend.digests import columns_digest
from gexcore.backend.protocols import Backend, SupportsCheckpoints, SupportsParams
from gexcore.errors import InvalidModelError, InvalidSettingError
from gexcore.settings import Auto, check_number

SCALE = 0.1
"""Scale of the start state, for classes."""

SCALE_OF_NUMBERS = 0.3
"""Scale of the start state, for other losses."""

Begin = Callable[[], Any]
"""Makes the state that a chain begins with."""


@dataclass(frozen=True, eq=False)
class Shrunk:
    """θ* moved towards a reference: reference + scale · (θ* − reference).

    Only trainable parameters move. Buffers are those of θ*, the optimiser is fresh.

    Parameters
    ----------
    scale : float
        1 is θ*, 0 is the reference.
    reference : array, shape (p,), optional
        Trainable parameters of the reference. Zero if not given.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.ensembles.start import Shrunk
    >>> from gexcore_numpy import MLP, NumpyBackend
    >>> backend = NumpyBackend(MLP([np.array([[-1.0, 1.0]])], [np.zeros(2)]))
    >>> backend.ravel(Shrunk(0.1).state(backend)).tolist()
    [-0.1, 0.1, 0.0, 0.0]
    """

    scale: float
    reference: NDArray[Any] | None = None

    @property
    def digest(self) -> str | None:
        """SHA-256 of the reference; None for zero."""
        return None if self.reference is None else columns_digest({"θ": self.reference})

    def state(self, backend: Backend[Any, Any]) -> Any:
        """The start state of a backend with `SupportsParams`."""
        able = require(backend, SupportsParams, by="a start of its own")
        trained = backend.initial_state()
        moved = self.scale * to_numpy(able.ravel(trained))
        if self.reference is not None:
            moved = moved + (1.0 - self.scale) * self.reference
        return able.unravel(trained, moved)


def begin_of(backend: Backend[Any, Any], start: Shrunk | None) -> Begin:
    """What makes the first state of a chain: θ* without a start of its own."""
    return backend.initial_state if start is None else lambda: start.state(backend)


def reference_of(backend: Backend[Any, Any], reference: Any) -> NDArray[Any] | None:
    """The trainable parameters of a reference, shape (p,); None for None.

    Parameters
    ----------
    reference : native model or state, optional
        In a form that the backend loads as a checkpoint.

    Raises
    ------
    InvalidModelError
        If its trainable parameters are not those of the model, are not finite, or are the trained
        model's own.
    MissingCapabilityError
        If the backend cannot load checkpoints.
    """
    if reference is None:
        return None
    loads = require(backend, SupportsCheckpoints, by="reference=")
    ravel = require(backend, SupportsParams, by="reference=").ravel
    try:
        found = to_numpy(ravel(loads.load(reference)))
    except InvalidModelError as error:
        if "reference" in str(error):
            raise
        raise InvalidModelError(f"the reference is not taken: {error}") from error
    trained = to_numpy(ravel(backend.initial_state()))
    if found.shape != trained.shape:
        msg = (
            f"the reference has {len(found)} trainable parameters, and the model has "
            f"{len(trained)}; give a model of the same structure"
        )
        raise InvalidModelError(msg)
    found = found.astype(trained.dtype, copy=False)
    finite = np.isfinite(found)
    if not finite.all():
        msg = (
            f"the reference has {int((~finite).sum())} parameters that are not finite; give the "
            "weights that the model was tuned from"
        )
        raise InvalidModelError(msg)
    if np.array_equal(found, trained):
        msg = (
            "the reference has the weights of the trained model itself; give those that it was "
            "tuned from, kept as a copy from before the training"
        )
        raise InvalidModelError(msg)
    return found


def first_scale(scale: float | tuple[float, float] | Auto, *, classes: bool) -> float:
    """The scale that a search or a trial starts with: of a pair the larger one."""
    if isinstance(scale, str):
        return SCALE if classes else SCALE_OF_NUMBERS
    return max(scale) if isinstance(scale, tuple) else scale


def check_scale(scale: Any, *, pair: bool) -> None:
    """Raise an error if this is no scale of a start state.

    Parameters
    ----------
    scale : "auto", float or pair of floats
    pair : bool
        Whether a pair is allowed.
    """
    if isinstance(scale, str) and scale == "auto":
        return
    several = not isinstance(scale, str | int | float)
    if several and not (isinstance(scale, tuple) and len(scale) == 2 and pair):
        raise InvalidSettingError(
            f"scale is {scale!r}; allowed are 'auto', a number, and with an lr a pair of numbers "
            "as a tuple"
        )
    for each in scale if isinstance(scale, tuple) else (scale,):
        check_number("scale", each)
        if each > 1:
            raise InvalidSettingError(f"scale is {each}, and must be at most 1, the trained model")
