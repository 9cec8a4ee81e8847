"""New targets in the form of the user's data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.clean import RELABELLINGS, Cleaned
from gexcore.errors import InvalidDataError


def new_targets(
    y: Any, labels: Any, cleaned: Cleaned, *, names: Sequence[Any] | None = None
) -> NDArray[Any]:
    """The targets of ``x[cleaned.indices]``, in the form of the data if possible.

    Parameters
    ----------
    y : array, shape (samples,) or (samples, K)
        Targets of the original data: classes under any names, or soft targets.
    labels : integer array, shape (samples,), optional
        The same classes as 0 … K − 1, needed if samples were relabelled.
    cleaned : Cleaned
    names : sequence, optional
        Names of the classes 0 … K − 1, such as in `y`. The default takes them from `y`.

    Returns
    -------
    array
        Classes under their names, if `y` and the new targets are classes. Else rows of soft targets
        in float32, where given soft targets stay as they are.

    Raises
    ------
    InvalidDataError
        If `labels` do not number the classes of `y`, or a new class has no name in `y`.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.decisions.clean import RELABELLINGS, Cleaned
    >>> labels = np.array([0, 1, 1])
    >>> cleaned = Cleaned(np.arange(3), np.array([0, 1, 0]), np.array([2]), "argmax")
    >>> new_targets(np.array(["cat", "dog", "dog"]), labels, cleaned).tolist()
    ['cat', 'dog', 'cat']
    """
    y, labels = np.asarray(y), np.asarray(labels)
    if cleaned.method not in RELABELLINGS:
        return np.asarray(y[cleaned.indices])
    if y.ndim == 1:
        soft = cleaned.targets.ndim == 2
        if soft:
            return cleaned.targets.astype(np.float32)
        if names is not None:
            return np.asarray(np.asarray(names)[cleaned.targets])
        return _named(y, labels, cleaned.targets)
    rows: NDArray[np.float32] = y[cleaned.indices].astype(np.float32)
    changed = np.isin(cleaned.indices, cleaned.changed)
    new = cleaned.targets if cleaned.targets.ndim == 2 else np.eye(y.shape[1])[cleaned.targets]
    rows[changed] = new[changed]
    return rows


def _named(y: NDArray[Any], labels: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
    if np.array_equal(y, labels):
        return targets.astype(y.dtype)
    codes, first = np.unique(labels, return_index=True)
    at = np.searchsorted(codes, labels)
    if not np.array_equal(y[first][at], y):
        raise InvalidDataError(
            "one class of the scores has several names in the data; give the data that was scored"
        )
    unknown = np.setdiff1d(targets, codes)
    if len(unknown):
        msg = (
            f"class {unknown[0]} is suggested, and no sample of the data tells its name; recode "
            "the labels as 0 … K−1"
        )
        raise InvalidDataError(msg)
    return np.asarray(y[first][np.searchsorted(codes, targets)])
