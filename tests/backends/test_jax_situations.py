"""Each situation of a user of JAX, Flax, Equinox and Haiku; docs/situations.md has them."""

from __future__ import annotations

import pytest

from tests.situations.jax import SITUATIONS
from tests.situations.registry import Situation, check_page


@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
def test_situation(situation: Situation) -> None:
    situation.check()


def test_the_page_has_these_situations() -> None:
    check_page(SITUATIONS)
