"""How much memory it takes to write and read a folder of scores.

    python -m bench.studies.memory_of_scores --out docs/rows/memory_of_scores.jsonl

Each line is a process of its own, which makes the columns, writes `scores.csv` or reads it, and
compares the most memory that the system gave it with what it had before.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.studies.rows import Row, parser, read, written
from bench.studies.tables import groups, markdown
from gexcore.cli.output import result_files, write_files
from gexcore.decisions.cuts import Threshold
from gexcore.decisions.threshold import Suspects
from gexcore.report.audit import read_audit

ROWS = (100_000, 1_000_000)
WORK = {"write": "writing", "read": "reading", "read names": "reading, classes by name"}
CLASSES = 10
COMMAND = {"name": "score", "data": ["digest"]}


def memory(kind: str) -> int:
    """Bytes in memory now ("VmRSS"), or the most so far ("VmHWM")."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(kind))


def files(rows: int, *, named: bool) -> dict[str, Any]:
    """The files of a folder with this many scores."""
    rng = np.random.default_rng(0)
    suspicion = rng.gamma(2.0, size=rows)
    label = np.arange(rows) % CLASSES
    names = np.array([f"class {k}" for k in range(CLASSES)])
    columns = {
        "index": np.arange(rows), "label": names[label] if named else label,
        "suspicion": suspicion, "standard_error": suspicion / 10, "self_influence": suspicion**2,
        "suspect": suspicion > 5, "suggested_label": names[label] if named else label,
    }  # fmt: skip
    found = Suspects(np.flatnonzero(suspicion > 5), Threshold(5.0, "valley", "two modes"))
    record = {"method": "GEX", "backend": "numpy", "samples": rows, "classes": CLASSES}
    more = {"class_names": names.tolist()} if named else {}
    return result_files(record, columns, found, COMMAND, **more)


def one(work: str, rows: int, folder: Path) -> Row:
    """What one process needed."""
    if work == "write":
        write_files(folder / "first", files(10, named=False))  # imports
        made = files(rows, named=False)
    else:
        read_audit(folder / "first")
    Path("/proc/self/clear_refs").write_text("5")  # the most so far is what there is now
    before = memory("VmRSS")
    if work == "write":
        write_files(folder / "whole", made)
    else:
        audit = read_audit(folder / "whole")
        assert len(audit) == rows
    return {"more": memory("VmHWM") - before}


def rows() -> Iterator[Row]:
    """One row for each number of samples and each kind of work."""
    for count in ROWS:
        with tempfile.TemporaryDirectory() as name:
            for work in WORK:
                if work == "read names":
                    write_files(Path(name) / "first", files(10, named=True))
                    write_files(Path(name) / "whole", files(count, named=True))
                command = [sys.executable, "-m", __spec__.name, "--one", work, str(count), name]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
                size = (Path(name) / "whole" / "scores.csv").stat().st_size
                yield {"work": work, "rows": count, "file": size, **json.loads(done.stdout)}


def table(rows: list[Row]) -> str:
    """One line for each number of rows and each kind of work."""
    head = ["", "rows", "file, MB", "more memory, MB", "times the file"]
    lines = [
        [
            WORK[str(work)], f"{count:,}", f"{row['file'] / 1e6:.1f}", f"{row['more'] / 1e6:.1f}",
            f"{row['more'] / row['file']:.2f}",
        ]
        for (work, count), part in groups(rows, "work", "rows").items()
        for row in part
    ]  # fmt: skip
    return markdown(head, lines)


def main() -> int:
    made = parser(__doc__)
    made.add_argument("--one", nargs=3, metavar=("WORK", "ROWS", "FOLDER"))
    args = made.parse_args()
    if args.one:
        work, count, folder = args.one
        print(json.dumps(one(work, int(count), Path(folder))))
        return 0
    print(table(read(args.table) if args.table else written(rows(), args.out)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
