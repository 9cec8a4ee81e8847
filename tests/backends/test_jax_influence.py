"""Influence for retraining on this backend."""

from __future__ import annotations

from gexcore_jax.demo import train
from tests.backends.ridge import check_ridge


def test_a_ridge_answers_for_all_members() -> None:
    check_ridge(train)
