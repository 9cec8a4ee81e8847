"""Arrays of any library on the host, and the targets of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

TARGET_KEYS = ("labels", "label", "y", "target", "targets")
"""Keys of the target in a batch that is a mapping, in the order of search."""


def targets_of(batch: Any) -> NDArray[Any] | None:
    """The targets of a batch: the last item of a tuple, or the first of `TARGET_KEYS`."""
    if isinstance(batch, Mapping):
        found = next((batch[key] for key in TARGET_KEYS if key in batch), None)
    elif isinstance(batch, tuple | list) and len(batch) >= 2:
        found = batch[-1]
    else:
        found = None
    return None if found is None else to_numpy(found)


def to_numpy(array: Any) -> NDArray[Any]:
    """An array of any library, device and precision, as a NumPy array on the host."""
    try:
        return np.asarray(array)
    except (
        TypeError,
        RuntimeError,
    ):  # the array is on a device, in a gradient graph, or in bfloat16
        import array_api_compat

        host = array_api_compat.to_device(
            array.detach() if hasattr(array, "detach") else array, "cpu"
        )
        try:
            return np.asarray(host)
        except TypeError:
            xp = array_api_compat.array_namespace(host)
            return np.asarray(xp.astype(host, xp.float32))
