"""Whatever a file holds, it is read, or refused in one sentence."""

from __future__ import annotations

import argparse
import gzip
import io
import os
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gexcore as gx
from gexcore.backend.files import PART, write_whole
from gexcore.cli.extras import READ as EXTRAS
from gexcore.cli.files import read_samples
from gexcore.cli.reading import Reading
from gexcore.cli.scored_folder import open_scored
from gexcore.errors import GexError, InvalidDataError, InvalidSettingError
from gexcore.scores.recorder_file import read_recorded
from gexcore.store.lock import LOCK, NAME
from tests.cli.conftest import Run

CASES = int(os.environ.get("GEXCORE_FUZZ_CASES", "1300"))
"""Of each of the nine kinds of file: 11,700 in all."""

X = np.arange(60.0).reshape(20, 3)
Y = np.arange(20) % 2


def idx(array: Any, code: int) -> bytes:
    head = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return head + array.tobytes()


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def packed(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def recorder() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        found = gx.Recorder(20)
        for _ in range(2):
            found.add(np.arange(20), logits=np.tile([2.0, 1.0], (20, 1)), labels=Y)
            found.epoch()
        found.save(Path(folder, "r.npz"))
        return Path(folder, "r.npz").read_bytes()


def parquet() -> bytes:
    import pandas as pd

    file = io.BytesIO()
    pd.DataFrame({"a": X[:, 0], "label": Y}).to_parquet(file)
    return file.getvalue()


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.full((20, 2), 0.5))
    return file.getvalue()


def read_table(path: Path) -> Any:
    return read_samples([path], Reading(label="label"))


def read_plain(path: Path) -> Any:
    return read_samples([path], Reading())


def read_idx(path: Path) -> Any:
    labels = path.with_name("labels")
    labels.write_bytes(idx(Y.astype("u1"), 0x08))
    return read_samples([path, labels], Reading())


CSV = "a,b,label\n" + "".join(
    f"{a!r},{a / 3!r},{y}\n" for a, y in zip(X[:, 0].tolist(), Y.tolist(), strict=True)
)
KINDS: dict[str, tuple[Callable[[], bytes], str, Callable[[Path], Any]]] = {
    "npz": (lambda: npz(x=X, y=Y), "d.npz", read_plain),
    "packed npz": (lambda: packed(x=X, y=Y), "d.npz", read_plain),
    "idx": (lambda: idx(X.astype(">f8"), 0x0E), "d.idx", read_idx),
    "idx.gz": (lambda: gzip.compress(idx(X.astype("u1"), 0x08)), "d.gz", read_idx),
    "csv": (lambda: CSV.encode(), "d.csv", read_table),
    "parquet": (parquet, "d.parquet", read_table),
    "recorder": (recorder, "r.npz", read_recorded),
    "npy": (npy, "p.npy", lambda path: EXTRAS["probabilities"](path)),
}  # fmt: skip

EDIT = st.tuples(
    st.sampled_from(["flip", "set", "cut", "insert", "delete", "copy"]),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 255),
    st.integers(1, 64),
)


def mutated(content: bytes, edits: list[tuple[str, float, int, int]]) -> bytes:
    found = bytearray(content)
    for how, where, value, length in edits:
        at = int(where * max(1, len(found)))
        if how == "flip" and found:
            found[at] ^= 1 << (value % 8)
        elif how == "set":
            found[at : at + length] = bytes([value]) * min(length, len(found) - at)
        elif how == "cut":
            del found[at:]
        elif how == "insert":
            found[at:at] = bytes([value]) * length
        elif how == "delete":
            del found[at : at + length]
        else:
            found[at:at] = found[value : value + length]
    return bytes(found)


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    make, name, read = KINDS[kind]
    content, path = make(), tmp_path / name
    path.write_bytes(content)
    read(path)
    refused = 0

    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(EDIT, min_size=1, max_size=4))
    def case(edits: list[tuple[str, float, int, int]]) -> None:
        nonlocal refused
        path.write_bytes(mutated(content, edits))
        try:
            read(path)
        except (InvalidDataError, InvalidSettingError) as error:
            refused += 1
            if "\n" in str(error):
                raise AssertionError("more than one line") from error

    case()
    assert refused > CASES // 10, "most mutations must be noticed"


def test_mutated_folders_are_read_or_refused(cleanable: Path) -> None:
    files = {path.name: path.read_bytes() for path in Path("audit").iterdir() if path.is_file()}
    args = argparse.Namespace(folder=Path("audit"), data=None)
    refused = 0

    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(sorted(files)), st.lists(EDIT, min_size=1, max_size=3))
    def case(name: str, edits: list[tuple[str, float, int, int]]) -> None:
        nonlocal refused
        Path("audit", name).write_bytes(mutated(files[name], edits))
        try:
            scored = open_scored(args)
            scored.predictions(np.arange(3))
        except GexError:
            refused += 1
        finally:
            Path("audit", name).write_bytes(files[name])

    case()
    assert refused > CASES // 2


def header(shape: str, descr: str = "<f8") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


PREPARED = {
    "huge": header("(10000000000000,)"),
    "overflow": header("(4611686018427387904, 4)"),
    "negative": header("(-1,)"),
    "no whole number": header("(1.5,)"),
    "cut": header("(20, 3)")[:40],
    "objects": header("(1,)", "|O"),
    "nothing in it": header("(1000000000,)", "|V0"),
    "no array": b"text",
    "empty": b"",
}


@pytest.mark.parametrize("how", PREPARED)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_prepared_archives_are_one_sentence(project: Path, run: Run, how: str, method: int) -> None:
    with zipfile.ZipFile("data.npz", "w", method) as archive:
        archive.writestr("x.npy", PREPARED[how])
        file = io.BytesIO()
        np.save(file, Y)
        archive.writestr("y.npy", file.getvalue())
    code, _, said = run("score", "model.py:build", "data.npz", "--out", "audit")
    assert code == 2
    assert said.startswith("gexcore: data.npz cannot be read as .npz: ")
    assert said.count("\n") == 1


def test_what_unpacks_to_more_than_the_memory_is_refused_before(project: Path, run: Run) -> None:
    """By its header: nothing of it is unpacked."""
    shape = (2**20, 2**12, 2**10)  # 32 TB of float64
    with gzip.open("x.gz", "wb", compresslevel=1) as file:
        file.write(struct.pack(">HBB3I", 0, 0x0E, 3, *shape) + bytes(2**20))
    Path("y").write_bytes(idx(Y.astype("u1"), 0x08))
    code, _, said = run("score", "model.py:build", "x.gz,y", "--out", "audit")
    assert code == 2
    assert "x.gz unpacks to 35,184,372,088,832 bytes" in said


@pytest.mark.skipif(sys.platform == "win32", reason="special files are those of POSIX")
@pytest.mark.parametrize("place", ["DATA", "--out", "--recorder"])
@pytest.mark.parametrize("name", ["x" * 300 + ".npz", "pipe", "/dev/zero"])
def test_paths_that_are_no_files(project: Path, run: Run, place: str, name: str) -> None:
    os.mkfifo("pipe")
    args = ["score", "model.py:build", "data.npz", "--out", "audit", "--chains", "1"]
    if place == "DATA":
        args[2] = name
    elif place == "--out":
        args[4] = name
    else:
        args += ["--method", "AUM", "--recorder", name]
    code, _, said = run(*args)
    assert code == 2
    assert said.count("\n") == 1
    assert "--debug" not in said
    assert not Path("audit").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("place", [".scores.csv.part", ".run.json.part", LOCK, NAME])
def test_score_writes_through_no_link_that_waits_in_its_folder(
    project: Path, run: Run, place: str
) -> None:
    Path("audit").mkdir()
    Path("precious").write_text("mine")
    Path("audit", place).symlink_to(Path("precious").absolute())
    few = ("--chains", "2", "--snapshots", "4", "--lr", "0.05", "--quiet")
    code, _, said = run("score", "model.py:build", "data.npz", "--out", "audit", *few)
    assert Path("precious").read_text() == "mine"
    assert code == 0 or (code == 2 and said.count("\n") == 1 and "--debug" not in said)
    if code == 0:
        assert {path.name for path in Path("audit").iterdir() if path.is_symlink()} <= {place}


def test_a_link_at_a_guessed_name_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even who knows the name: only a new file is written to."""
    monkeypatch.setattr("secrets.token_hex", lambda size: "0" * 2 * size)
    (tmp_path / "precious").write_text("mine")
    (tmp_path / f".{'0' * 16}{PART}").symlink_to(tmp_path / "precious")
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "scores.csv", b"theirs")
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (tmp_path / "scores.csv").exists()
