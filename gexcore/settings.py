"""Checks of settings: counts, numbers, choices and switches."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Literal

from gexcore.errors import InvalidSettingError

Auto = Literal["auto"]


LARGEST_COUNT = 10**9
LARGEST_SEED = 2**63 - 1


def check_count(
    name: str, value: Any, *, least: int = 1, most: int = LARGEST_COUNT, auto: bool = True
) -> None:
    """Refuse what is neither a whole number from `least` to `most` nor, where allowed, "auto"."""
    if auto and isinstance(value, str) and value == "auto":
        return
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < least or value > most:
        told = (
            f"a whole number from {least} {'to ' + str(most) if whole and value > most else 'up'}"
        )
        told += ', or "auto"' if auto else ""
        shown = repr(value) if not whole or abs(value) < 10**30 else "too large"
        raise InvalidSettingError(f"{name} is {shown}, and must be {told}")


def check_seed(seed: Any) -> None:
    """Refuse what is no seed: a whole number from 0 to 2⁶³ − 1."""
    check_count("seed", seed, least=0, most=LARGEST_SEED, auto=False)


def check_number(
    name: str, value: Any, *, least: float = 0.0, above: bool = False, auto: bool = False
) -> None:
    """Refuse what is no finite number ≥ `least` (or > `least`) nor, where allowed, "auto"."""
    if auto and isinstance(value, str) and value == "auto":
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    ok = number and abs(value) <= sys.float_info.max
    if not ok or value < least or (above and value == least):
        told = f"a finite number {'above' if above else 'from'} {least:g}{'' if above else ' up'}"
        shown = "too large" if isinstance(value, int) and abs(value) > 10**30 else repr(value)
        raise InvalidSettingError(f"{name} is {shown}, and must be {told}")


def check_switch(name: str, value: Any) -> None:
    """Refuse what is neither True nor False.

    Raises
    ------
    InvalidSettingError
    """
    if not isinstance(value, bool):
        raise InvalidSettingError(f"{name} is {value!r}; allowed are True and False")


def check_choice(name: str, value: Any, allowed: Sequence[str]) -> None:
    """Refuse what is none of the allowed words.

    Raises
    ------
    InvalidSettingError
    """
    if not isinstance(value, str) or value not in allowed:
        told = ", ".join(map(repr, allowed[:-1])) + f" and {allowed[-1]!r}"
        raise InvalidSettingError(f"{name} is {value!r}; allowed are {told}")
