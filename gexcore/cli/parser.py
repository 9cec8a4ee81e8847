"""The parser of the command line: only the chosen command is imported."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import gexcore
from gexcore.cli.terminal import Formatter, meant
from gexcore.errors import InvalidSettingError

COMMANDS = {
    "demo": "find flipped labels in scikit-learn's digits",
    "score": "score the training set of a trained model",
    "report": "show a finished run as one HTML page",
    "clean": "relabel or drop the suspects of a scored dataset",
    "prune": "keep the samples of a scored dataset that matter most",
    "retrain": "measure the test accuracy before and after cleaning",
    "bench": "measure what the method would cost for a model",
    "methods": "list the methods, what each needs and what it costs",
    "backends": "list the backends and what each can do",
    "completion": "print the script with which a shell completes these commands",
}
EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted. `gexcore COMMAND --help` "
    "explains a command."
)
DEFAULT_METHOD = "GEX"


class Parser(argparse.ArgumentParser):
    """A parser that refuses in one sentence, and names what was probably meant.

    Parameters
    ----------
    *args, **how : object
        Arguments of ``argparse.ArgumentParser``.
    """

    method: str | None = None
    """The method whose settings the help shows. None shows those of all."""
    flags: Sequence[str] = ()
    """The flags of the chosen command."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **{"formatter_class": Formatter, **how})

    def error(self, message: str) -> NoReturn:
        """Refuse.

        Raises
        ------
        InvalidSettingError
        """
        raise InvalidSettingError(f"{message}; see `{self.prog} --help`")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and refuse unknown flags with the nearest known one."""
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            near = meant(rest[0].partition("=")[0], self.flags)
            self.error(f"unrecognized arguments: {' '.join(rest)}{near}")
        return found

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            words = [str(word) for word in action.choices]
            told = f"invalid choice: {value!r} (choose from {', '.join(words)})"
            raise argparse.ArgumentError(action, f"{told}{meant(str(value), words)}")


def parser_of(given: Sequence[str], *, every: bool = False) -> Parser:
    """The parser for these arguments.

    Parameters
    ----------
    given : sequence of str
        Arguments without the program's name.
    every : bool
        Whether to import all commands, and not only the chosen one.
    """
    debug = Parser(add_help=False)
    # no default: it would undo a --debug before the command
    debug.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks of errors"
    )
    parser = Parser(
        prog="gexcore",
        description=gexcore.__doc__,
        epilog=EPILOG,
        parents=[debug],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"gexcore {gexcore.__version__}")
    commands = parser.add_subparsers(
        metavar="COMMAND", dest="command", title="commands", required=False
    )
    chosen = next((argument for argument in given if not argument.startswith("-")), None)
    for name, told in COMMANDS.items():
        command = commands.add_parser(name, help=told, parents=[debug], allow_abbrev=False)
        if every or name == chosen:  # other subcommands would only slow down the start
            module = import_module(f"gexcore.cli.{name}")
            command.method = None if every else _method_in(given)
            command.description = module.DESCRIPTION
            module.configure(command)
            command.set_defaults(run=module.run)
            parser.flags = list(command._option_string_actions)
    return parser


def _method_in(given: Sequence[str]) -> str:
    """The value of ``--method``, read before the flags of the method are known."""
    for at, argument in enumerate(given):
        if argument.startswith("--method="):
            return argument.removeprefix("--method=")
        if argument == "--method" and at + 1 < len(given):
            return given[at + 1]
    return DEFAULT_METHOD
