"""pytest, and Hypothesis with a fixed profile: every run of the kit draws the same examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    import pytest
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp
except ImportError as error:
    msg = (
        f"the conformance kit needs {error.name}, which is not installed; try: pip install "
        "'gexcore[testing]'"
    )
    raise ImportError(msg, name=error.name) from error

__all__ = ["SEEDS", "hnp", "law", "pytest", "st"]

SEEDS = st.integers(0, 2**32 - 1)

_PROFILE = settings(
    derandomize=True,
    database=None,
    max_examples=8,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def law(**drawn: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """`hypothesis.given` for a function inside a check.

    An inherited test method cannot have ``@given`` itself. Hypothesis refuses to run one method for
    several classes.
    """

    def decorate(body: Callable[..., None]) -> Callable[[], None]:
        return _PROFILE(given(**drawn)(body))

    return decorate
