"""The columns of a fit of six samples, two of them suspect."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Columns = dict[str, NDArray[Any]]


@pytest.fixture
def columns() -> Columns:
    return {
        "index": np.arange(6),
        "label": np.array([0, 1, 2, 0, 1, 2]),
        "suspicion": np.array([0.0, 0.1, 2.5, 0.2, 3.0, 0.1]),
        "self_influence": np.array([0.0, 0.0, 1.0, 0.1, 2.0, 0.0]),
        "standard_error": np.array([0.0, np.nan, 0.1, 0.1, 0.2, 0.1]),
        "suspect": np.array([False, False, True, False, True, False]),
        "suggested_label": np.array([1, 2, 0, 1, 2, 0]),
    }


@pytest.fixture
def unclassed(columns: Columns) -> Columns:
    """The same of a regression."""
    none = np.full(6, None, dtype=object)
    return {**columns, "label": none, "suggested_label": none}
