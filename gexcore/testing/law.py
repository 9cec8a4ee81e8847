"""One law of array code: a property of drawn examples that are the same in every run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.testing._hypothesis import st

# after the module that tells how to install it
from hypothesis import Phase, given, settings  # isort: skip

Table = NDArray[np.float64]
"""Numbers of members and samples, shape (members, samples)."""

TOLERANCE = 1e-12
"""Tolerance of sums in double precision."""


def law(**drawn: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Check a property for 40 drawn examples of its arguments."""
    profile = settings(
        derandomize=True,
        database=None,
        max_examples=40,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
    )
    return lambda body: profile(given(**drawn)(body))
