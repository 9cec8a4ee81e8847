"""Runs a page: its Python and its commands, from top to bottom, and compares what it shows.

    python run_page.py PAGE

Lines of a block ``text``, and lines of a block ``console`` that are no commands, are the expected
output. An ellipsis stands for any text, also for several lines.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

BLOCK = re.compile(r"^```(python|console|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def agrees(expected: str, printed: str) -> bool:
    """Whether a text was printed, up to ellipses and white space at line ends."""
    lines = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    pattern = re.escape(expected.strip()).replace("…", ".*?")
    return re.fullmatch(pattern, lines, re.DOTALL) is not None


def check(expected: str, printed: str) -> None:
    """End where the page shows something else than was printed."""
    if not agrees(expected, printed):
        raise SystemExit(f"the page shows\n{expected}\nand this was printed:\n{printed}")


def commands(block: str) -> None:
    """Run each command of a block, and compare what follows it."""
    env = {**os.environ, "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"}
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        command, expected = lines[0], "\n".join(lines[1:])
        done = subprocess.run(command, shell=True, capture_output=True, text=True, env=env)
        if done.returncode:
            raise SystemExit(f"{command} failed: {done.stderr}")
        if expected.strip():
            check(expected, done.stdout)


def run(text: str) -> int:
    """Run all blocks of a page in one namespace; return their number."""
    names = {"__name__": "__main__"}
    printed = ""
    blocks = BLOCK.findall(text)
    for kind, block in blocks:
        if kind == "python":
            told = io.StringIO()
            with contextlib.redirect_stdout(told):
                exec(compile(block, "page", "exec"), names)
            printed = told.getvalue()
        elif kind == "console":
            commands(block)
        else:
            check(block, printed)
    return len(blocks)


if __name__ == "__main__":
    print(run(Path(sys.argv[1]).read_text(encoding="utf-8")))
