"""Names of classes in pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.errors import InvalidDataError


def classes_of(labels: Any) -> NDArray[np.intp]:
    """Classes of all samples, as integers.

    Raises
    ------
    InvalidDataError
        If they are no row of whole numbers.

    Examples
    --------
    >>> from gexcore.plots.names import classes_of
    >>> classes_of([2, 0, 1])
    array([2, 0, 1])
    """
    found = np.asarray(labels)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise InvalidDataError(
            f"classes have shape {found.shape} and type {found.dtype}; give one whole number for "
            "each sample, and the names of classes apart"
        )
    return found.astype(np.intp)


def class_name(number: int, names: Sequence[str] | None) -> str:
    """The name of a class, or its number.

    Raises
    ------
    InvalidDataError
        If the class has no name.

    Examples
    --------
    >>> from gexcore.plots.names import class_name
    >>> class_name(1, ["cat", "dog"]), class_name(1, None)
    ('dog', '1')
    """
    if names is None:
        return str(number)
    if not 0 <= number < len(names):
        raise InvalidDataError(f"class {number} has no name; give {number + 1} names or more")
    return str(names[number])
