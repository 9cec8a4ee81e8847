"""Damages stores and result folders, uses them again, and counts what is noticed.

    python -m bench.studies.damaged_runs --trials 500 --out docs/rows/damaged_runs.jsonl

A trial damages one file: a flipped bit, a cut, a removed or doubled piece, zeros, no file at all,
or another file's content. A store of a run that was stopped half-way is then given to the same fit
again. A folder of `gexcore score` is read as `clean` and `report` read it. The damage is told in
one sentence, or it is harmless: the result has the same bits. Everything else is lost: another
result, or a raw error.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import gexcore as gx
from bench.studies.rows import Row, parser, read, written
from bench.studies.tables import groups, markdown
from gexcore.cli import main as command
from gexcore.cli.scored_folder import open_scored
from gexcore.errors import GexError
from gexcore.store import chains
from gexcore_numpy import MLP, NumpyBackend

DAMAGES = ("bit", "cut", "removed", "doubled", "zeros", "gone", "another")
MODEL = """
import numpy as np
from gexcore_numpy import MLP

def build():
    return MLP([4 * np.eye(4, 3)], [np.zeros(3)])
"""


def damaged(
    content: bytes, how: str, others: list[bytes], rng: np.random.Generator
) -> bytes | None:
    """The content of a file after the damage; None for a file that is gone."""
    found, at = bytearray(content), int(rng.integers(max(1, len(content))))
    end = at + int(rng.integers(1, 65))
    if how == "bit" and found:
        found[at] ^= 1 << int(rng.integers(8))
    elif how == "cut":
        del found[at:]
    elif how == "removed":
        del found[at:end]
    elif how == "doubled":
        found[at:at] = found[at:end]
    elif how == "zeros":
        found[at:end] = bytes(len(found[at:end]))
    elif how == "gone":
        return None
    elif how == "another":
        found = bytearray(others[int(rng.integers(len(others)))])
    return bytes(found)


def data() -> tuple[np.ndarray, np.ndarray]:
    """Three classes in four dimensions, one label in ten wrong."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    x = rng.normal(size=(90, 4)) + 3 * np.eye(3, 4)[y]
    return x, np.where(rng.random(90) < 0.1, (y + 1) % 3, y)


class Stopped(NumpyBackend):
    """Stops after this many steps."""

    left = 60

    def sgd_step_(self, state, batch, /, **how):  # type: ignore[no-untyped-def]
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super().sgd_step_(state, batch, **how)


def stores(folder: Path) -> tuple[Path, Callable[[Path], bytes]]:
    """A store that was stopped half-way, and what the same fit makes of it."""
    model = MLP([4 * np.eye(4, 3)], [np.zeros(3)])
    method = gx.GEX(chains=2, snapshots=8, steps_per_snapshot=8, batch_size=16, lr=0.05, keep=2)
    chains.SHARE = 1e9  # every snapshot is stored
    with contextlib.suppress(KeyboardInterrupt):
        method.fit(Stopped(model), data(), store=folder / "store", progress=False)

    def used(store: Path) -> bytes:
        backend = Stopped(model)
        backend.left = -1
        found = method.fit(backend, data(), store=store, progress=False)
        return found.losses.tobytes() + found.predictions().probabilities.tobytes()

    return folder / "store", used


def folders(folder: Path) -> tuple[Path, Callable[[Path], bytes]]:
    """A folder of `gexcore score`, and what is read of it."""
    x, y = data()
    np.savez(folder / "data.npz", x=x, y=y)
    (folder / "model.py").write_text(MODEL)
    few = ("--chains", "2", "--snapshots", "4", "--lr", "0.05", "--quiet")
    done = command(
        ["score", f"{folder}/model.py:build", f"{folder}/data.npz", *few, "--out", f"{folder}/out"]
    )
    assert done == 0
    shutil.rmtree(folder / "out" / "store", ignore_errors=True)

    def used(out: Path) -> bytes:
        scored = open_scored(argparse.Namespace(folder=out, data=None))
        audit, found = scored.audit, scored.predictions(np.arange(len(y)))
        read = (audit.suspicion, audit.self_influence, audit.labels, audit.suspect, *found)
        return b"".join(np.asarray(part).tobytes() for part in read)

    return folder / "out", used


WHOLE = {"store": stores, "folder of scores": folders}


def rows(what: str, trials: int) -> Iterator[Row]:
    """One row for each kind of damage."""
    rng, counts = np.random.default_rng(0), {how: Counter[str]() for how in DAMAGES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole, used = WHOLE[what](folder)
        kept, trial = folder / "kept", folder / "trial"
        shutil.copytree(whole, kept)
        expected = used(whole)
        files = sorted(path.relative_to(kept) for path in kept.rglob("*") if path.is_file())
        contents = [(kept / file).read_bytes() for file in files]
        for number in range(trials):
            how = DAMAGES[number % len(DAMAGES)]
            shutil.rmtree(trial, ignore_errors=True)
            shutil.copytree(kept, trial)
            victim = int(rng.integers(len(files)))
            after = damaged(contents[victim], how, contents, rng)
            if after is None:
                (trial / files[victim]).unlink()
            else:
                (trial / files[victim]).write_bytes(after)
            told = outcome(used, trial, expected)
            if told not in ("told", "harmless"):
                print(what, how, files[victim], told, file=sys.stderr)
            counts[how]["lost" if told not in ("told", "harmless") else told] += 1
    for how, count in counts.items():
        yield {"what": what, "damage": how, "trials": count.total(), **dict(count)}


def outcome(used: Callable[[Path], bytes], place: Path, expected: bytes) -> str:
    """What became of one use."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            found = used(place)
    except GexError as error:
        return "told" if "\n" not in str(error) else f"more than one line: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "harmless" if found == expected else "another result"


def table(rows: list[Row]) -> str:
    """Trials, told, harmless and lost, for each place."""
    lines = []
    for (what,), part in groups(rows, "what").items():
        sums = [sum(row.get(key, 0) for row in part) for key in ("told", "harmless", "lost")]
        lines.append([str(what), str(sum(row["trials"] for row in part)), *map(str, sums)])
    return markdown(["damaged", "trials", "told", "harmless", "lost"], lines)


def main() -> int:
    made = parser(__doc__)
    made.add_argument("--trials", type=int, default=500)
    args = made.parse_args()
    found = (
        read(args.table)
        if args.table
        else written((row for what in WHOLE for row in rows(what, args.trials)), args.out)
    )
    print(table(found))
    return int(any(row.get("lost") for row in found))


if __name__ == "__main__":
    sys.exit(main())
