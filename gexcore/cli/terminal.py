"""What a terminal shows beyond plain text: colours, and the words that were probably meant."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from typing import Any, TextIO

BOLD, RED, YELLOW = "1", "31;1", "33;1"


def styled(text: str, style: str, stream: TextIO) -> str:
    """A text in a style, if the stream is a terminal with colours and ``NO_COLOR`` is not set.

    Examples
    --------
    >>> import io
    >>> from gexcore.cli.terminal import RED, styled
    >>> styled("gexcore:", RED, io.StringIO())
    'gexcore:'
    """
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    return text if plain or not stream.isatty() else f"\033[{style}m{text}\033[0m"


def meant(word: str, words: Iterable[str]) -> str:
    """The end of a sentence that names the nearest word; empty if no word is near.

    Examples
    --------
    >>> from gexcore.cli.terminal import meant
    >>> meant("scroe", ["score", "clean"])
    '; did you mean score?'
    >>> meant("plot", ["score", "clean"])
    ''
    """
    from difflib import get_close_matches

    near = {name.lower(): name for name in words}
    found = get_close_matches(word.lower(), near, n=1)
    return f"; did you mean {near[found[0]]}?" if found else ""


class Formatter(argparse.HelpFormatter):
    """Help with bold headings, in a terminal that has them."""

    def start_section(self, heading: str | None) -> None:
        """Begin a section."""
        import sys

        super().start_section(heading and styled(heading, BOLD, sys.stdout))

    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        """Begin with the usage."""
        import sys

        super().add_usage(usage, actions, groups, prefix or styled("usage: ", BOLD, sys.stdout))
