"""Changes folders of `gexcore score`, uses them in the shell, and counts what comes out.

    python -m bench.studies.tampered_folders --trials 300 --out docs/rows/tampered_folders.jsonl

A trial changes one file of a finished folder, its store included: a value, field, row, cell or
array that somebody may have edited, or damage as in `bench.studies.damaged_runs`. Then it gives
`gexcore clean --relabel`, `report`, `prune` and the same `score` again. A change is told if the
command ends with exit code 1 or 2 and one sentence. It is harmless if all files and all that is
printed are those of the whole folder. Anything else is lost: a traceback, or another result.

A second count writes the digests anew, as somebody who means to change the folder would. Such a
change may be a right one. What comes out of it must then make sense: classes that the run knows,
rows of the data as they were, the right number of samples, and a page of values that are finite.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.studies.damaged_runs import DAMAGES, MODEL, damaged, data
from bench.studies.rows import Row, parser, read, written
from bench.studies.tables import groups, markdown
from gexcore.backend.digests import file_digest
from gexcore.cli import main as shell
from gexcore.report.finished import sealed

KEEP = 0.5
VALUES: tuple[Any, ...] = (
    None, -1, 0, 2, 70_000, 2**63, 2**70, 0.5, -0.5, 1e300, float("nan"), "", "text", "2",
    "<script>alert(1)</script>", "é" * 5_000, True, [], [1], [None], [[]], {}, {"a": 1},
)  # fmt: skip
CELLS = (
    "", "-1", "3", "70000", "9000000", "1e300", "-1e300", "nan", "inf", "text", "true", "1.5",
    "'=1+1", '"', "\x00", "é", "9" * 400,
)  # fmt: skip
FILES = ("run.json", "scores.csv", "predictions.npz", "related.json", "store")


class Ended(NamedTuple):
    """Exit code, standard output, standard error, and the files that were written."""

    code: int
    out: str
    err: str
    files: dict[str, bytes]


def used(command: str, folder: Path) -> Ended:
    """The outcome of one command in this folder, which holds `audit`, `model.py` and `data.npz`."""
    args, made = {
        "clean": (["audit", "--relabel", "--rate", "0.1", "--out", "new.npz"], ["new.npz"]),
        "report": (["audit", "--force", "--out", "new.html"], ["new.html"]),
        "prune": (["audit", "--keep", str(KEEP), "--out", "new.npz"], ["new.npz"]),
        "score": ([*SCORE, "--out", "audit"], []),
    }[command]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out):
        with contextlib.redirect_stderr(err):
            code = shell([command, *args])
        files = {name: Path(name).read_bytes() for name in made if Path(name).exists()}
        for name in files:
            Path(name).unlink()
    return Ended(code, out.getvalue(), err.getvalue(), files)


SCORE = (
    "model.py:build",
    "data.npz",
    "--chains",
    "2",
    "--snapshots",
    "4",
    "--lr",
    "0.05",
    "--quiet",
)
COMMANDS = ("clean", "report", "prune", "score")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to all values inside this one."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def edited_json(text: bytes, rng: np.random.Generator, *, seal: bool) -> bytes:
    """JSON with one value changed, one field taken out, or one put in."""
    record = json.loads(text)
    # a place in the command or the settings is as likely as one of many snapshots
    first = list(record)[int(rng.integers(len(record)))]
    inside = [(first, *path) for path in places(record[first])]
    path = ((first,), *inside)[int(rng.integers(1 + len(inside)))]
    holder = record
    for key in path[:-1]:
        holder = holder[key]
    how = rng.choice(["value", "value", "value", "gone", "other"])
    if how == "gone":
        del holder[path[-1]]
    else:
        value = copy.deepcopy(VALUES[int(rng.integers(len(VALUES)))])
        known = holder[path[-1]]
        if how == "other" and isinstance(known, int | float):
            value = type(known)(not known) if isinstance(known, bool) else known + 1
        holder[path[-1]] = value
    return json.dumps(sealed(record) if seal else record, indent=2).encode()


def edited_csv(text: bytes, rng: np.random.Generator) -> bytes:
    """A table with one cell, row or column changed."""
    lines = [line.split(",") for line in text.decode().splitlines()]
    row = int(rng.integers(len(lines)))
    column = int(rng.integers(len(lines[0])))
    how = rng.choice(["cell", "cell", "cell", "label", "removed", "doubled", "swapped", "column"])
    if how in ("cell", "label"):
        place = lines[0].index("label") if how == "label" else column
        cell = str(rng.integers(3)) if how == "label" else CELLS[int(rng.integers(len(CELLS)))]
        lines[row][place] = cell
    elif how == "removed":
        del lines[row]
    elif how == "doubled":
        lines.insert(row, list(lines[row]))
    elif how == "swapped":
        other = int(rng.integers(len(lines)))
        lines[row], lines[other] = lines[other], lines[row]
    else:
        for cells in lines:
            del cells[column]
    return "".join(",".join(cells) + "\n" for cells in lines).encode()


def edited_npz(content: bytes, rng: np.random.Generator) -> bytes:
    """An archive with one array changed or taken out."""
    with np.load(io.BytesIO(content)) as stored:
        arrays: dict[str, Any] = dict(stored)
    name = list(arrays)[int(rng.integers(len(arrays)))]
    array, how = arrays[name], int(rng.integers(8))
    at = tuple(int(rng.integers(n)) for n in array.shape)
    if how == 0:
        del arrays[name]
    elif how == 1:
        arrays[name] = array[:-1]
    elif how == 2:
        arrays[name] = array[..., :-1]
    elif how == 3:
        arrays[name] = array.astype(rng.choice(["<U8", "complex64", "bool", "float16", "M8[s]"]))
    elif how == 4:
        arrays[name] = np.array(None) if rng.random() < 0.5 else array[None]
    elif how == 5:
        arrays[name] = np.roll(array, 1, axis=0)
    else:
        value = rng.choice([np.nan, np.inf, -1.0, 3.0, 70_000.0, 1e30])
        whole = array.dtype.kind in "iu"
        array[at] = int(np.clip(np.nan_to_num(value), -(2**31), 2**31)) if whole else value
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    return packed.getvalue()


def change(audit: Path, file: str, rng: np.random.Generator, *, seal: bool) -> str:
    """Change one file of the folder; what was done."""
    inside = [audit / file]
    if file == "store":
        inside = sorted(path for path in (audit / file).rglob("*") if path.is_file())
    path = inside[int(rng.integers(len(inside)))]
    content = path.read_bytes()
    others = sorted(p for p in audit.rglob("*") if p.is_file())
    if seal or (file != "store" and rng.random() < 0.7):
        edit: Any = {".csv": edited_csv, ".npz": edited_npz}.get(path.suffix)
        after = (
            edit(content, rng)
            if edit
            else edited_json(content, rng, seal=seal and file == "run.json")
        )
        how = "edited"
    else:
        how = DAMAGES[int(rng.integers(len(DAMAGES)))]
        after = damaged(content, how, [p.read_bytes() for p in others], rng)
    if after is None:
        path.unlink()
        return how
    path.write_bytes(after)
    if seal and file != "run.json":
        run = json.loads((audit / "run.json").read_bytes())
        run["files"][file] = file_digest(path)
        (audit / "run.json").write_text(json.dumps(sealed(run), indent=2))
    return how


def made(folder: Path) -> None:
    """A finished folder with a store."""
    x, y = data()
    np.savez(folder / "data.npz", x=x, y=y)
    (folder / "model.py").write_text(MODEL)
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        assert shell(["score", *SCORE, "--out", "audit"]) == 0


def senseless(command: str, ended: Ended) -> str:
    """What is wrong with a result whose folder says that all is well; empty if nothing is."""
    if "new.npz" in ended.files:
        with np.load(io.BytesIO(ended.files["new.npz"])) as stored:
            x, y, index = stored["x"], stored["y"], stored["index"]
        given, labels = data()
        if not np.array_equal(x, given[index]) or len(np.unique(index)) < len(index):
            return "rows that the data does not have"
        if y.dtype.kind not in "iu" or y.min() < 0 or y.max() > labels.max():
            return "labels that no class has"
        if command == "prune" and (
            len(index) != round(KEEP * len(labels)) or (y != labels[index]).any()
        ):
            return "another number of samples, or other labels"
    if "new.html" in ended.files:
        page = ended.files["new.html"].decode()
        if "<script>alert(1)" in page or len(page) > 3_000_000:
            return "a page with foreign script, or a huge one"
    return ""


def outcome(command: str, found: Ended, whole: Ended, *, seal: bool) -> str:
    """What became of one command."""
    lines = found.err.splitlines()
    if found.code in (1, 2):
        one = len(lines) == 1 and lines[0].startswith("gexcore: ")
        return "told" if one and "--debug shows where" not in lines[0] else f"raw: {found.err}"
    if found.code == 0 and found == whole:
        return "harmless"
    if found.code == 0 and seal:
        return senseless(command, found) or "taken"
    return f"another result, exit code {found.code}"


GOOD = ("told", "harmless", "taken")


def rows(trials: int, *, seal: bool) -> Iterator[Row]:
    """One row for each file and command."""
    rng, counts = np.random.default_rng(0), Counter[tuple[str, str, str]]()
    files = FILES[:4] if seal else FILES
    with tempfile.TemporaryDirectory() as name:
        folder, audit = Path(name), Path(name) / "audit"
        made(folder)
        shutil.copytree(audit, folder / "kept")
        whole = {command: used(command, folder) for command in COMMANDS}
        assert all(ended.code == 0 for ended in whole.values())
        for number in range(trials):
            file = files[number % len(files)]
            for command in COMMANDS:
                shutil.rmtree(audit)
                shutil.copytree(folder / "kept", audit)
                state = rng.bit_generator.state
                how = change(audit, file, rng, seal=seal)
                if command != COMMANDS[-1]:
                    rng.bit_generator.state = state  # the same change for the next command
                found = used(command, folder)
                told = outcome(command, found, whole[command], seal=seal)
                if told not in GOOD:
                    print(number, file, how, command, told, file=sys.stderr)
                counts[file, command, told if told in GOOD else "lost"] += 1
    for file in files:
        for command in COMMANDS:
            sums = {kind: counts[file, command, kind] for kind in (*GOOD, "lost")}
            yield {"digests": "anew" if seal else "kept", "file": file, "command": command,
                   "trials": sum(sums.values()), **sums}  # fmt: skip


def table(rows: list[Row]) -> str:
    """Trials, told, harmless, taken and lost, for each command."""
    head = ["digests", "command", "trials", "told", "same result", "taken", "lost"]
    lines = []
    for (digests, command), part in groups(rows, "digests", "command").items():
        sums = [sum(row[key] for row in part) for key in ("trials", *GOOD, "lost")]
        lines.append([str(digests), f"`gexcore {command}`", *map(str, sums)])
    return markdown(head, lines)


def main() -> int:
    made = parser(__doc__)
    made.add_argument("--trials", type=int, default=300)
    args = made.parse_args()
    found = (
        read(args.table)
        if args.table
        else written(
            (row for seal in (False, True) for row in rows(args.trials, seal=seal)), args.out
        )
    )
    print(table(found))
    return int(any(row["lost"] for row in found))


if __name__ == "__main__":
    sys.exit(main())
