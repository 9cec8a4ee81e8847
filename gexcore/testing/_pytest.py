"""Loaded by every pytest run where gexcore is installed; gives the kit's assertions their detail."""

from __future__ import annotations

import pytest

MODULES = (
    *("checks", "compare", "datasets", "derivatives", "gradients"),
    *("kronecker", "laws", "optional", "oracle", "selection"),
)

# before their import, hence by name; not gexcore.testing, which the import of this module has
# already run
pytest.register_assert_rewrite(*(f"gexcore.testing.{module}" for module in MODULES))
