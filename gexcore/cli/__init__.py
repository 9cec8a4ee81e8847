"""The command `gexcore`: one module per subcommand, with heavy imports inside functions."""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NoReturn

import gexcore
from gexcore.errors import AllMembersDivergedError, GexError, InvalidSettingError, StoreError

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

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
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name. The default is the arguments of the process.

    Returns
    -------
    int
        The exit code: 0 done, 1 failed, 2 bad input, 130 interrupted. An error is one sentence on
        standard error.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without "±" must still show the rest
    args = argparse.Namespace(debug=False)
    try:
        given = sys.argv[1:] if argv is None else argv
        _parser(given).parse_args(given, namespace=args)
        with warnings.catch_warnings():
            warnings.showwarning = _warnings_shown_once()
            args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader of the output has ended, like `head`; nothing may be written at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return _tell(
            "interrupted; results are written once a run is complete: the same command goes on",
            INTERRUPTED,
            debug=args.debug,
        )
    except GexError as error:
        code = FAILED if isinstance(error, AllMembersDivergedError | StoreError) else BAD_INPUT
        return _tell(str(error), code, debug=args.debug)
    except OSError as error:
        what, why = error.filename or "a file", error.strerror or type(error).__name__
        return _tell(
            f"{str(what)[:200]} cannot be used ({why}); name another path, or give access to it",
            BAD_INPUT,
            debug=args.debug,
        )
    except MemoryError:
        return _tell(
            "there is not enough memory; give fewer samples, or a smaller --batch-size",
            FAILED,
            debug=args.debug,
        )
    except Exception as error:
        told = (str(error).splitlines() or [""])[0]
        return _tell(
            f"{type(error).__name__}: {told}; --debug shows where", FAILED, debug=args.debug
        )
    return DONE


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidSettingError(f"{message}; see `{self.prog} --help`")


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    debug = _Parser(add_help=False)
    # no default: it would undo a --debug before the command
    debug.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks of errors"
    )
    parser = _Parser(
        prog="gexcore",
        description=gexcore.__doc__,
        epilog=EPILOG,
        parents=[debug],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"gexcore {gexcore.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    chosen = next((argument for argument in given if not argument.startswith("-")), None)
    for name, told in COMMANDS.items():
        command = commands.add_parser(name, help=told, parents=[debug], allow_abbrev=False)
        if name == chosen:  # other subcommands would only slow down the start
            module = import_module(f"gexcore.cli.{name}")
            command.description = module.DESCRIPTION
            module.configure(command)
            command.set_defaults(run=module.run)
    return parser


EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted. `gexcore COMMAND --help` "
    "explains a command."
)


def _tell(sentence: str, code: int, *, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"gexcore: {sentence}", file=sys.stderr)
    return code


def _warnings_shown_once() -> Callable[..., None]:
    shown: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in shown:
            shown.add(str(message))
            print(f"gexcore: warning: {message}", file=sys.stderr)

    return show
