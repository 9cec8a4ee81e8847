"""The arithmetic of influence and Otsu's cut, on array libraries without a framework."""

from __future__ import annotations

from typing import Any

import pytest

from gexcore.testing import laws
from gexcore.testing.decision_laws import check_otsu_laws

CHECKS = [laws.check_gram_laws, laws.check_weight_laws, laws.check_bounds, check_otsu_laws]


@pytest.mark.parametrize("check", CHECKS)
def test_laws(check: Any, xp: Any) -> None:
    check(xp)
