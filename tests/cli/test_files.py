"""Data files: the same numbers whatever they are stored in, and one sentence for what cannot be
read."""

from __future__ import annotations

import gzip
import struct
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gexcore.cli.files import IDX_TYPES, data_paths, read_samples
from gexcore.cli.reading import Reading
from gexcore.errors import InvalidDataError, InvalidSettingError, MissingExtraError

FEW = ("--chains", "2", "--snapshots", "3", "--lr", "0.1")


def idx(array: np.ndarray, code: int) -> bytes:
    shape = struct.pack(f">{array.ndim}I", *array.shape)
    return (
        struct.pack(">HBB", 0, code, array.ndim) + shape + array.astype(IDX_TYPES[code]).tobytes()
    )


def frame(blobs) -> pd.DataFrame:
    x, y = blobs
    return pd.DataFrame({"height": x[:, 0], "class": y, "width": x[:, 1]})


def read(where, label=None):
    given = read_samples(data_paths(str(where)), Reading(label=label)).given_to(None)
    return given.x, given.y


def test_the_same_data_from_every_kind_of_file_has_the_same_scores(project, run, blobs):
    Path("x.idx.gz").write_bytes(gzip.compress(idx(blobs[0], 0x0E)))
    Path("y.idx.gz").write_bytes(gzip.compress(idx(blobs[1], 0x08)))
    frame(blobs).to_csv("data.csv", index=False)
    frame(blobs).to_parquet("data.parquet")
    label = ("--label", "class")
    kinds = {"npz": ("data.npz",), "idx": ("x.idx.gz,y.idx.gz",), "csv": ("data.csv", *label)}
    kinds["parquet"] = ("data.parquet", *label)
    for kind, data in kinds.items():
        assert run("score", "model.py:build", *data, "--out", kind, *FEW).code == 0
    assert len({(Path(kind) / "scores.csv").read_bytes() for kind in kinds}) == 1


@pytest.mark.parametrize("code", IDX_TYPES)
@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 3, 2)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_files_of_every_type_and_shape(tmp_path, code, shape, pack):
    x = np.arange(np.prod(shape)).reshape(shape)
    (tmp_path / "x").write_bytes(pack(idx(x, code)))
    (tmp_path / "y").write_bytes(idx(np.array([0, 1, 0, 1]), 0x0C))
    found, y = read(f"{tmp_path / 'x'},{tmp_path / 'y'}")
    assert found.dtype == np.dtype(IDX_TYPES[code]).newbyteorder("=")
    np.testing.assert_array_equal(found, x)
    np.testing.assert_array_equal(y, [0, 1, 0, 1])


def test_a_table_keeps_the_order_of_its_columns_and_the_kind_of_its_labels(tmp_path):
    (tmp_path / "a.csv").write_text("\ufeffa,y,b\n1,0,2.5\n\n3,1,4e-3\n", encoding="utf-8")
    x, y = read(tmp_path / "a.csv", "y")
    assert (x.tolist(), x.dtype) == ([[1.0, 2.5], [3.0, 0.004]], np.float64)
    assert (y.tolist(), y.dtype) == ([0, 1], np.int64)
    _, y = read(tmp_path / "a.csv", "b")
    assert (y.tolist(), y.dtype) == ([2.5, 0.004], np.float64)


def test_a_missing_value_of_a_parquet_file_is_not_a_number(tmp_path):
    table = pd.DataFrame(
        {"a": pd.array([1, None, 3], dtype="Int64"), "y": pd.array([0, 1, 0], dtype="Int64")}
    )
    table.to_parquet(tmp_path / "a.parquet")
    x, y = read(tmp_path / "a.parquet", "y")
    np.testing.assert_array_equal(x, [[1.0], [np.nan], [3.0]])
    assert y.dtype == np.int64


def test_a_comma_in_the_name_of_a_file_is_no_pair(tmp_path):
    np.savez(tmp_path / "a,b.npz", x=np.ones((2, 1)), y=np.arange(2))
    assert read(tmp_path / "a,b.npz")[0].shape == (2, 1)


def cut(path: Path, content: bytes, keep: float) -> str:
    path.write_bytes(content[: int(keep * len(content))])
    return str(path)


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.9])
def test_truncated_files(tmp_path, blobs, keep):
    x, y = idx(blobs[0], 0x0E), idx(blobs[1], 0x08)
    labels = cut(tmp_path / "y", y, 1)
    np.savez_compressed(tmp_path / "whole.npz", x=blobs[0], y=blobs[1])
    frame(blobs).to_parquet(tmp_path / "whole.parquet")
    pieces = {
        "idx": cut(tmp_path / "x.idx", x, keep) + f",{labels}",
        "idx, ": cut(tmp_path / "x.idx.gz", gzip.compress(x), keep) + f",{labels}",
        ".npz": cut(tmp_path / "a.npz", (tmp_path / "whole.npz").read_bytes(), keep),
        ".parquet": cut(tmp_path / "a.parquet", (tmp_path / "whole.parquet").read_bytes(), keep),
    }
    for kind, where in pieces.items():
        with pytest.raises(
            InvalidDataError,
            match=f"cannot be read as {kind[:3]}.*: it is truncated or of another kind",
        ):
            read(where, "class" if kind == ".parquet" else None)


def test_damaged_files(tmp_path, blobs):
    whole = bytearray(gzip.compress(idx(blobs[0], 0x0E)))
    whole[len(whole) // 2] ^= 255
    (tmp_path / "x.gz").write_bytes(whole)
    (tmp_path / "y").write_bytes(idx(blobs[1], 0x08))
    with pytest.raises(InvalidDataError, match=r"x\.gz cannot be read as idx"):
        read(f"{tmp_path / 'x.gz'},{tmp_path / 'y'}")
    (tmp_path / "x").write_bytes(idx(blobs[0], 0x0E) + b"more")
    with pytest.raises(InvalidDataError, match="over 1920 bytes of data where"):
        read(f"{tmp_path / 'x'},{tmp_path / 'y'}")


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"a": np.ones(2)}, "has no array x and no array y, but a; save it as"),
        ({"x": np.ones((2, 2)), "labels": np.ones(2)}, "has no array y, but x, labels"),
        (
            {"x": np.ones((2, 2)), "y": np.array([{}, {}])},
            "y holds Python objects",
        ),
        (
            {"x": np.array(["a", "b"]), "y": np.arange(2)},
            "x of .* is of type <U1; only numbers are allowed",
        ),
        (
            {"x": np.array(1.0), "y": np.arange(2)},
            "x of .* is a single value; give one row per sample",
        ),
    ],
)
def test_archives_without_the_arrays(tmp_path, arrays, told):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InvalidDataError, match=told):
        read(tmp_path / "a.npz")


def test_a_pickle_is_never_opened(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with pytest.raises(InvalidDataError, match=r"cannot be read as \.npz"):
        read(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        ("", InvalidDataError, "no header line"),
        ("a,y\n1,0\n2\n", InvalidDataError, "line 3 of .* has 1 cells and the header 2"),
        (
            "a,name,y\n1,Anna,0\n",
            InvalidDataError,
            "column 'name' of .* is not numeric .*'Anna'.*; this model takes only numbers",
        ),
        (
            "a,y\n1,\n2,b\n",
            InvalidDataError,
            "column 'y' of .* has no label in 1 of 2 rows, the first at index 0",
        ),
        ("a,y\n", InvalidDataError, "has a header and no row"),
        ("a,a,y\n1,1,0\n", InvalidDataError, "two columns named 'a'"),
        ("y\n1\n", InvalidDataError, "no column beside y"),
        ("a,b\n1,2\n", InvalidSettingError, "--label y names no column of .*; give one of a, b"),
        ("a,y \n1,0\n", InvalidSettingError, "names no column of .*; give one of a, 'y '$"),
        ("a,y\n1,\xff\n", InvalidDataError, "cannot be read as .csv: it is not in UTF-8; save it"),
    ],
)
def test_tables_that_are_none(tmp_path, text, error, told):
    (tmp_path / "a.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(error, match=told):
        read(tmp_path / "a.csv", "y")


def test_the_label_is_asked_for_where_it_is_needed_and_only_there(project, blobs):
    frame(blobs).to_csv("data.csv", index=False)
    with pytest.raises(
        InvalidSettingError, match="--label is missing; give one of height, class, width"
    ):
        read("data.csv")
    with pytest.raises(InvalidSettingError, match=r"--label y is for the columns of tables"):
        read("data.npz", "y")


def test_text_in_a_parquet_file(tmp_path):
    pd.DataFrame({"a": [1.0], "city": ["Rome"], "y": [0]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InvalidDataError, match=r"column 'city' of .* is not numeric"):
        read(tmp_path / "a.parquet", "y")


def test_parquet_without_pandas(project, blobs, monkeypatch):
    frame(blobs).to_parquet("data.parquet")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gexcore\[report\]'"):
        read("data.parquet", "class")


def test_files_of_no_known_kind(project):
    for where in ("model.py", "data.npz,data.npz,data.npz"):
        with pytest.raises(InvalidDataError, match=r"is of no known kind; DATA is an \.npz file"):
            read(where)
    for where, told in (
        ("nowhere.npz", "does not exist"),
        ("a,b", "a does not exist"),
        (".", "has no pictures; give a folder with one folder of pictures per class"),
    ):
        with pytest.raises(InvalidDataError, match=told):
            read(where)


def test_labels_before_features(tmp_path, blobs):
    (tmp_path / "x").write_bytes(idx(blobs[0], 0x0E))
    (tmp_path / "y").write_bytes(idx(blobs[1], 0x08))
    with pytest.raises(
        InvalidDataError, match="has 2 dimensions, and labels have one; name the features first"
    ):
        read(f"{tmp_path / 'y'},{tmp_path / 'x'}")
