"""Refusals of arguments that all backends word alike; `gexcore.backend.losses` has the others."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Sequence

from gexcore.backend.data import TARGET_KEYS
from gexcore.errors import InvalidDataError, InvalidSettingError


def check_batches(batches: Sequence[object]) -> None:
    """Refuse an empty list of batches.

    Raises
    ------
    InvalidDataError
    """
    if not batches:
        raise InvalidDataError(
            "no batches to estimate the statistics of normalisation from; give at least one"
        )


def check_vector(shape: Sequence[int], size: int) -> None:
    """Refuse a vector of another shape than that of the trainable parameters.

    Raises
    ------
    InvalidDataError
    """
    if tuple(shape) != (size,):
        raise InvalidDataError(
            f"a vector over the parameters has shape ({size},) for this model, not "
            f"{tuple(shape)}; take one of the size that ravel gives"
        )


def check_names(names: Collection[str], known: Iterable[str]) -> None:
    """Refuse names that are no trainable parameters, and an empty choice.

    Raises
    ------
    InvalidSettingError
    """
    known = list(known)
    unknown = sorted(repr(name) for name in names if name not in known)
    if unknown or not names:
        told = (
            f"no trainable parameter is named {unknown[0]}"
            if unknown
            else ("no parameters were chosen")
        )
        allowed = textwrap.shorten(", ".join(map(repr, known)), 200, placeholder=" …")
        raise InvalidSettingError(f"{told}; choose from {allowed}")


def no_target(batch: object) -> InvalidDataError:
    """The refusal of a batch without a target."""
    return InvalidDataError(
        f"a batch of type {type(batch).__name__} has no target; give (x, y), or a mapping with "
        f"one of {', '.join(TARGET_KEYS)}"
    )
