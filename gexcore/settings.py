"""Checks of settings: counts, numbers and choices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from gexcore.errors import InvalidSettingError

Auto = Literal["auto"]


def check_count(name: str, value: Any, *, least: int = 1, auto: bool = True) -> None:
    """Refuse a value that is no whole number ≥ `least`, and not "auto" where that is allowed."""
    if auto and isinstance(value, str) and value == "auto":
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        told = f"a whole number from {least} up" + (', or "auto"' if auto else "")
        raise InvalidSettingError(f"{name} is {value!r}, and must be {told}")


def check_number(name: str, value: Any, *, least: float = 0.0, above: bool = False) -> None:
    """Refuse a value that is no finite number ≥ `least` (or > `least`)."""
    ok = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not ok or value < least or (above and value == least):
        told = f"a finite number {'above' if above else 'from'} {least:g}{'' if above else ' up'}"
        raise InvalidSettingError(f"{name} is {value!r}, and must be {told}")


def check_choice(name: str, value: Any, allowed: Sequence[str]) -> None:
    """Refuse what is none of the allowed words.

    Raises
    ------
    InvalidSettingError
    """
    if value not in allowed:
        told = ", ".join(map(repr, allowed[:-1])) + f" and {allowed[-1]!r}"
        raise InvalidSettingError(f"{name} is {value!r}; allowed are {told}")
