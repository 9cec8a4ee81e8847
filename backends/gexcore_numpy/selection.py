"""Parameters chosen by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from gexcore.errors import InvalidSettingError


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
    unknown = sorted(map(repr, set(names) - set(sizes)))
    if unknown or not names:
        told = (
            f"the model has no parameter {', '.join(unknown)}"
            if unknown
            else "no parameters were chosen"
        )
        msg = f"{told}; choose among {', '.join(map(repr, sizes))}"
        raise InvalidSettingError(msg)
    return np.repeat([name in names for name in sizes], list(sizes.values()))
