"""Each situation of a user of Keras and TensorFlow; docs/situations.md has them."""

from __future__ import annotations

import pytest

from tests.situations.registry import Situation, check_page
from tests.situations.tensorflow import SITUATIONS


@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
def test_situation(situation: Situation) -> None:
    situation.check()


def test_the_page_has_these_situations() -> None:
    check_page(SITUATIONS)
