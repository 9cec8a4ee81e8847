"""What users pass, and what comes of it: one row per situation, as a test with the real framework.

    python -m bench.studies.situations --out docs/rows/situations.jsonl
    python -m bench.studies.tables --write

The situations are declared in tests/situations, one module per framework. Each module runs in a
process of its own. A situation that does not come out as declared stops the study. `--out` is
written anew.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path

from bench.studies.rows import Row, parser, read, timed, written
from bench.studies.tables import groups, markdown

ROOT = Path(__file__).parents[2]
MODULES = ("torch", "huggingface", "tensorflow", "jax", "sklearn", "shell")
KEYS = ("framework", "passed", "outcome", "line")


def rows_of(module: str) -> Iterator[Row]:
    """The rows of one framework, each after it has come out as declared."""
    for situation in import_module(f"tests.situations.{module}").SITUATIONS:
        with redirect_stdout(sys.stderr):  # rows alone go to standard output
            situation.check()
        yield situation.row()


def table(rows: list[Row]) -> str:
    """One table per framework, under its name."""
    counts = Counter(str(row["outcome"]) for row in rows)
    told = ", ".join(f"{counts[outcome]} “{outcome}”" for outcome in sorted(counts, reverse=True))
    parts = [f"{len(rows)} situations: {told}."]
    for (framework,), part in groups(rows, "framework").items():
        lines = [
            [row["passed"], row["outcome"], f"… {row['line']} …" if row["line"] else ""]
            for row in part
        ]
        parts.append(f"## {framework}\n\n{markdown(('you pass', 'it', 'it says'), lines)}")
    return "\n\n".join(parts)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--one", help="print the rows of one module only")
    arguments.add_argument("--rounds", type=int, help="not used")
    given = arguments.parse_args()
    if given.one:
        written(rows_of(given.one), None)
        return
    if given.table:
        print(table(read(given.table)))
        return
    if given.out:
        given.out.unlink(missing_ok=True)
    there = [name for name in MODULES if (ROOT / "tests/situations" / f"{name}.py").exists()]
    for name in there:
        written(timed("bench.studies.situations", name, 1), given.out)


if __name__ == "__main__":
    sys.path.append(str(ROOT))
    main()
