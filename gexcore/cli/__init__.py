"""The command `gexcore`: one module per subcommand, with heavy imports inside functions."""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from gexcore.cli.parser import COMMANDS, parser_of
from gexcore.cli.terminal import RED, YELLOW, styled
from gexcore.errors import AllMembersDivergedError, GexError, StoreError

__all__ = ["COMMANDS", "main"]

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


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
        parser = parser_of(given)
        parser.parse_args(given, namespace=args)
        if args.command is None:
            parser.print_help()
            return DONE
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


def _tell(sentence: str, code: int, *, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"{styled('gexcore:', RED, sys.stderr)} {sentence}", file=sys.stderr)
    return code


def _warnings_shown_once() -> Callable[..., None]:
    shown: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in shown:
            shown.add(str(message))
            name = styled("gexcore: warning:", YELLOW, sys.stderr)
            print(f"{name} {message}", file=sys.stderr)

    return show
