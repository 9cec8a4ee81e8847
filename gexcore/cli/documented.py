"""What the docstrings say of settings, for the help of the command line."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from functools import cache

LEFT_TO_BASE = ("Settings of ", "See ")
"""Openings of a text that leaves the setting to a base class."""


@cache
def documented(cls: type) -> Mapping[str, str]:
    """The first sentence on each setting in the docstrings of a class and its bases."""
    # only a help text needs it, and most commands print none
    from docstring_parser import numpydoc

    found: dict[str, str] = {}
    for owner in cls.__mro__:
        doc = inspect.cleandoc(vars(owner).get("__doc__") or "")
        for param in numpydoc.parse(doc).params:
            text = " ".join((param.description or "").split())
            if text and not text.startswith(LEFT_TO_BASE):
                for name in param.arg_name.split(", "):
                    found.setdefault(name, _first_sentence(text))
    return found


def _first_sentence(text: str) -> str:
    first = re.split(r"[.:;]( |$)", text, maxsplit=1)[0]
    return first.replace("`", "")
