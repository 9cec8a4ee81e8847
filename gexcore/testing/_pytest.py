"""A pytest plugin, loaded with gexcore, that gives the kit's assertions their detail."""

from __future__ import annotations

import pytest

MODULES = (
    *("checks", "compare", "datasets", "derivatives", "gradients"),
    *("kronecker", "laws", "optional", "oracle", "refusals", "selection"),
)

# by name, before their import; gexcore.testing itself is already imported
pytest.register_assert_rewrite(*(f"gexcore.testing.{module}" for module in MODULES))
