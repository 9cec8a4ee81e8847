"""Files of columns: written whole, never over another, read back as they were, harmless in a
spreadsheet."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gexcore.backend.files import write_new
from gexcore.errors import (
    InvalidDataError,
    InvalidSettingError,
    MissingExtraError,
    OutputExistsError,
)
from gexcore.outputs import write_columns

COLUMNS = {
    "count": np.array([1, -2, 3]),
    "size": np.array([0.1, np.nan, -1e-300]),
    "right": np.array([True, False, True]),
}


def test_a_csv_file_reads_back_to_the_last_digit(tmp_path: Path) -> None:
    write_columns(tmp_path / "a.csv", COLUMNS)
    frame = pd.read_csv(tmp_path / "a.csv")
    for name, column in COLUMNS.items():
        np.testing.assert_array_equal(frame[name].to_numpy(), column)
    assert (
        tmp_path / "a.csv"
    ).read_text() == "count,size,right\n1,0.1,true\n-2,,false\n3,-1e-300,true\n"


@pytest.mark.parametrize("suffix", [".npz", ".parquet", ".PARQUET"])
def test_other_files_read_back_as_they_were(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_columns(path, COLUMNS)
    found = np.load(path) if suffix == ".npz" else pd.read_parquet(path)
    for name, column in COLUMNS.items():
        np.testing.assert_array_equal(np.asarray(found[name]), column)


def test_an_npz_file_holds_arrays_of_any_shape(tmp_path: Path) -> None:
    x = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    write_columns(tmp_path / "a.npz", {"x": x, "y": np.array([0, 1])})
    with np.load(tmp_path / "a.npz") as found:
        assert found["x"].dtype == np.float32
        np.testing.assert_array_equal(found["x"], x)


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=cmd|"/c calc"!A1']
)
def test_no_text_is_a_formula(tmp_path: Path, text: str) -> None:
    write_columns(tmp_path / "a.csv", {text: np.array([text, "a=b", "1\n2", 'say "x"'])})
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [[f"'{text}"], [f"'{text}"], ["a=b"], ["1\n2"], ['say "x"']]


@pytest.mark.parametrize("name", ["a.csv", "a.npz", "a.parquet"])
def test_a_file_that_exists_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(
        OutputExistsError, match=f"{name} exists, and is never overwritten; name another file"
    ):
        write_columns(tmp_path / name, COLUMNS)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "mine"}


def test_a_link_to_nowhere_is_left_alone_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputExistsError):
        write_columns(tmp_path / "a.csv", COLUMNS)
    assert not (tmp_path / "nowhere").exists()


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(file: Any) -> None:
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_new(tmp_path / "a", fail)

    def late(file: Any) -> None:
        (tmp_path / "a").write_text("theirs")

    with pytest.raises(OutputExistsError):
        write_new(tmp_path / "a", late)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "theirs"}


@pytest.mark.parametrize(
    ("name", "columns", "error", "told"),
    [
        (
            "a.xlsx",
            COLUMNS,
            InvalidDataError,
            r"a.xlsx is of no known kind; name a file that ends in .npz, .csv",
        ),
        (
            "a.csv",
            {"x": np.zeros((2, 3))},
            InvalidDataError,
            "x has 2 dimensions, and a cell of .*a.csv holds one",
        ),
        (
            "no/a.csv",
            COLUMNS,
            InvalidSettingError,
            "no is no folder; name a file in a folder that can be written to",
        ),
    ],
)
def test_files_that_cannot_be(
    tmp_path: Path, name: str, columns: Any, error: type, told: str
) -> None:
    with pytest.raises(error, match=told):
        write_columns(tmp_path / name, columns)
    assert list(tmp_path.iterdir()) == []


def test_parquet_without_pandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gexcore\[report\]'"):
        write_columns(tmp_path / "a.parquet", COLUMNS)
    assert list(tmp_path.iterdir()) == []
