"""Each situation of a user of PyTorch, Hugging Face and Lightning; docs/situations.md has them."""

from __future__ import annotations

import pytest

from tests.situations import huggingface
from tests.situations.registry import Situation, check_page
from tests.situations.torch import SITUATIONS


@pytest.mark.filterwarnings("ignore")  # of transformers and Lightning themselves
@pytest.mark.parametrize("situation", [*SITUATIONS, *huggingface.SITUATIONS], ids=str)
def test_situation(situation: Situation) -> None:
    situation.check()


def test_the_page_has_these_situations() -> None:
    check_page(SITUATIONS)
    check_page(huggingface.SITUATIONS)
