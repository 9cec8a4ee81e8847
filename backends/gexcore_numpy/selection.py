"""Parameters chosen by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.refusals import check_names


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
