"""`gexcore completion`: the script with which a shell completes the commands."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from gexcore.cli.parser import parser_of
from gexcore.errors import MissingExtraError

SHELLS = ("bash", "zsh", "tcsh")
DESCRIPTION = (
    "Prints a script for a shell. For bash: gexcore completion bash > "
    "~/.local/share/bash-completion/completions/gexcore. For zsh: a file _gexcore in a folder of "
    "fpath."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))


def run(args: argparse.Namespace) -> None:
    """Print the script.

    Raises
    ------
    MissingExtraError
        If shtab is not installed.
    """
    try:
        import shtab
    except ImportError as error:
        raise MissingExtraError(
            "completion needs shtab; try: pip install 'gexcore[completion]'"
        ) from error
    parser = parser_of((), every=True)
    _name_files(parser, shtab.FILE)
    print(shtab.complete(parser, args.shell))


def _name_files(parser: argparse.ArgumentParser, files: Any) -> None:
    """Let the shell complete names of files where an argument is one."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _name_files(command, files)
        elif action.type is Path or action.dest in ("model", "data"):
            action.complete = files  # type: ignore[attr-defined]
