"""Parameters chosen by name, and states from checkpoints."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gexcore.backend.refusals import check_names
from gexcore.errors import InvalidModelError
from gexcore_numpy.models import MLP
from gexcore_numpy.network import Moments, Network, flatten, running_statistics
from gexcore_numpy.state import NumpyState


def mask(sizes: Mapping[str, int], names: Collection[str]) -> NDArray[np.bool_]:
    """Mask of the flat vector for the parameters with these names.

    Parameters
    ----------
    sizes : mapping of str to int
        All parameters, in the order of the vector.
    names : collection of str

    Raises
    ------
    InvalidSettingError
        If a name is unknown, or there is none.
    """
    check_names(names, sizes)
    return np.repeat([name in names for name in sizes], list(sizes.values()))


def loaded(network: Network, checkpoint: Any, dtype: DTypeLike) -> NumpyState:
    """State of an `MLP` with the same shape, in this dtype, with a fresh optimiser.

    Raises
    ------
    InvalidModelError
        If another object is given.
    """
    found = Network.of(checkpoint) if isinstance(checkpoint, MLP) else None
    if found != network:
        msg = (
            f"the checkpoint is {found or f'a {type(checkpoint).__name__}'}; give "
            f"{network}, like the model"
        )
        raise InvalidModelError(msg)
    moments = [
        Moments(mean.astype(dtype), var.astype(dtype))
        for mean, var in running_statistics(checkpoint)
    ]
    return NumpyState(flatten(checkpoint).astype(dtype), tuple(moments))
