"""Which files a model is built from: those that its own thread opens, and their neighbours."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import pytest

from gexcore.cli.watched import is_unchanged, state_of, watched


def test_files_of_other_threads_do_not_count(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    for file in (mine, other):
        file.write_text("1")
    with watched() as opened:
        mine.read_text()
        thread = threading.Thread(target=other.read_text)
        thread.start()
        thread.join()
    assert str(mine) in opened  # the control
    assert str(other) not in opened


def test_neighbours_of_a_file_count_but_not_in_the_folder_of_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, beside = tmp_path / "model.py", tmp_path / "weights"
    for file in (read, beside):
        file.write_text("1")
    state = state_of([str(read)])
    assert set(state) == {str(read), str(beside)}
    beside.write_text("22")
    assert not is_unchanged(state)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    state = state_of([str(read)])
    assert set(state) == {str(read)}
    beside.write_text("333")
    assert is_unchanged(state)
    read.write_text("22")
    assert not is_unchanged(state)


def test_a_file_that_is_written_does_not_count(tmp_path: Path) -> None:
    read, written, by_number = (tmp_path / name for name in ("read", "written", "by_number"))
    read.write_text("1")
    with watched() as opened:
        os.close(os.open(read, os.O_RDONLY))  # the control
        written.write_text("1")
        os.close(os.open(by_number, os.O_WRONLY | os.O_CREAT))  # as Python writes its bytecode
    assert str(read) in opened
    assert not {str(written), str(by_number)} & set(opened)
