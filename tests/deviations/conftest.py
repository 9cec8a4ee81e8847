"""Array libraries that bring no framework with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import array_api_strict
import numpy as np
import pytest


@pytest.fixture(params=["numpy", "strict", "strictest"])
def xp(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Array namespaces. The strictest has no boolean indexing and no shapes that depend on data."""
    if request.param == "numpy":
        yield np
    elif request.param == "strict":
        yield array_api_strict
    else:
        with array_api_strict.ArrayAPIStrictFlags(
            boolean_indexing=False, data_dependent_shapes=False
        ):
            yield array_api_strict
