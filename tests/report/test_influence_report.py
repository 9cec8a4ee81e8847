"""From a fit, and from the folder of a finished run, to the same page."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.backend.digests import file_digest
from gexcore.cli import main, output
from gexcore.errors import InvalidDataError
from gexcore.report.audit import Audit, read_audit
from gexcore.report.finished import sealed
from gexcore_numpy import MLP

DataOf = Callable[[Path], dict[str, Any]]


@pytest.fixture(scope="module")
def blobs() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(-2, 1, (60, 2)), rng.normal(2, 1, (60, 2))])
    y = np.repeat([0, 1], 60)
    y[[3, 17, 80]] = 1 - y[[3, 17, 80]]
    return x, y


@pytest.fixture(scope="module")
def influence(blobs: tuple[Any, Any]) -> gx.Influence:
    model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
    return gx.GEX(chains=2, snapshots=4, lr=0.1).fit(model, blobs, progress=False)


@pytest.fixture
def folder(influence: gx.Influence, blobs: tuple[Any, Any], tmp_path: Path) -> Path:
    command = {"name": "score", "data": ["another file"], "label": None}
    files = output.result_files(
        influence.record(), influence.columns(), influence.suspects(), command
    )
    output.write_files(tmp_path / "audit", files)
    np.savez(tmp_path / "data.npz", x=blobs[0], y=blobs[1])
    return tmp_path / "audit"


def test_a_fit_reports_itself_with_its_samples(
    influence: gx.Influence, blobs: tuple[Any, Any], tmp_path: Path, data_of: DataOf
) -> None:
    path = influence.report(tmp_path / "audit.html", class_names=["left", "right"])
    data = data_of(path)
    first = data["listed"]["position"][0]
    assert first == influence.suspicion().argmax()
    assert data["shown"][0]["values"] == [
        ["x0", f"{blobs[0][first, 0]:.4g}"],
        ["x1", f"{blobs[0][first, 1]:.4g}"],
    ]
    assert data["classes"] == ["left", "right"]
    assert len(data["trace"]) == len(influence.run.snapshots)


def test_the_texts_of_a_data_set_can_be_shown_in_its_place(
    influence: gx.Influence, tmp_path: Path, data_of: DataOf
) -> None:
    path = influence.report(
        tmp_path / "a.html", data=[f"text {i}" for i in range(120)], renderer=str.upper, limit=3
    )
    data = data_of(path)
    assert [sample["text"] for sample in data["shown"]] == [
        f"TEXT {i}" for i in data["listed"]["position"]
    ]


def test_a_folder_gives_the_audit_of_its_fit(influence: gx.Influence, folder: Path) -> None:
    read, made = (
        read_audit(folder),
        Audit.of(influence.columns(), influence.suspects().threshold, influence.record()),
    )
    for name in ("suspicion", "standard_error", "self_influence", "suspect", "labels", "suggested"):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))
    assert read.threshold == made.threshold
    assert read.run["snapshots"] == made.run["snapshots"]


def report(*args: object) -> int:
    return main(["report", *map(str, args)])


def test_the_command_writes_a_page_and_never_over_another(
    folder: Path, capsys: pytest.CaptureFixture[str], data_of: DataOf
) -> None:
    assert report(folder) == 0
    assert capsys.readouterr().out == f"120 samples reported in {folder / 'report.html'}\n"
    assert data_of(folder / "report.html")["shown"] == []
    assert report(folder, "--title", "Anew") == 2
    assert (
        "report.html exists; name another file, or overwrite it with force (--force)"
        in capsys.readouterr().err
    )
    assert report(folder, "--title", "Anew", "--force") == 0
    assert "<title>Anew</title>" in (folder / "report.html").read_text()


def test_the_command_shows_the_data_it_is_given(folder: Path, data_of: DataOf) -> None:
    page = folder / "page.html"
    assert (
        report(
            folder,
            "--data",
            folder.parent / "data.npz",
            "--image",
            "2x1",
            "--class-names",
            "a,b",
            "--out",
            page,
        )
        == 0
    )
    data = data_of(page)
    assert data["classes"] == ["a", "b"]
    assert all("image" in sample for sample in data["shown"])
    assert (
        "The samples are not read from what was scored, and are matched by their position."
        in page.read_text()
    )


def test_lines_of_a_text_file_are_samples(folder: Path, data_of: DataOf) -> None:
    lines = folder.parent / "lines.txt"
    lines.write_text("".join(f"line {i}\n" for i in range(120)))
    assert report(folder, "--data", lines, "--limit", "5") == 0
    data = data_of(folder / "report.html")
    assert [sample["text"] for sample in data["shown"]] == [
        f"line {i}" for i in data["listed"]["position"]
    ]


MODEL = """
import numpy as np
from gexcore_numpy import MLP

def build():
    return MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
"""


def test_score_then_report_finds_its_data_again(
    folder: Path, blobs: tuple[Any, Any], data_of: DataOf
) -> None:
    home = folder.parent
    (home / "model.py").write_text(MODEL)
    gexcore = [sys.executable, "-m", "gexcore"]
    score = [
        *gexcore,
        "score",
        "model.py:build",
        "data.npz",
        "--out",
        "scored",
        "--chains",
        "2",
        "--snapshots",
        "2",
    ]
    subprocess.run([*score, "--lr", "0.1"], cwd=home, check=True, capture_output=True)
    subprocess.run([*gexcore, "report", "scored"], cwd=home, check=True, capture_output=True)
    page = home / "scored" / "report.html"
    assert len(data_of(page)["shown"]) == 120
    assert "matched by their position" not in page.read_text()

    (home / "data.npz").unlink()
    subprocess.run(
        [*gexcore, "report", "scored", "--force"], cwd=home, check=True, capture_output=True
    )
    assert data_of(page)["shown"] == []
    assert "the data is not any more where it was scored" in page.read_text()


def test_samples_can_be_left_out(folder: Path, data_of: DataOf) -> None:
    assert report(folder, "--data", folder.parent / "data.npz", "--scores-only") == 0
    assert data_of(folder / "report.html")["shown"] == []


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--class-names", "a,b,c"], "3 class names for 2 classes"),
        (["--data", "nowhere.npz"], "nowhere.npz does not exist"),
        (["--image", "8"], "'8' is no size; give height and width, such as 28x28"),
        (
            ["--data", "{home}/data.npz", "--image", "8x8"],
            "a sample has 2 numbers, and --image 8x8 asks for 64",
        ),
        (["--data", "{home}/latin.txt"], "latin.txt is no text in UTF-8"),
        (["--data", "{home}/short.txt"], "the data has 2 samples and the scores 120"),
        (["--limit", "0"], "limit is 0, and must be at least 1"),
    ],
)
def test_bad_input_is_one_sentence(
    folder: Path, args: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.parent / "latin.txt").write_bytes(b"caf\xe9\n")
    (folder.parent / "short.txt").write_text("one\ntwo\n")
    assert report(folder, *(arg.format(home=folder.parent) for arg in args)) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("scores.csv", None, "has no scores.csv; give the folder of a finished `gexcore score`"),
        ("run.json", None, "has no run.json"),
        ("run.json", lambda text: text[:-20], "cannot be read as scores"),
        ("scores.csv", lambda text: text.replace("\n1,", "\n7,", 1), "does not count from 0"),
        ("scores.csv", lambda text: text.replace("suspicion", "sorted", 1), "suspicion"),
        ("scores.csv", lambda text: text[:200], "a row has|could not convert|120 samples"),
        ("scores.csv", lambda text: text.replace(",1\n", ",70000\n", 1), "has the class 70000"),
        ("scores.csv", lambda text: text.replace(",1\n", ",-1\n", 1), "has the class -1"),
    ],
)
def test_a_folder_that_is_not_as_it_was_left(
    folder: Path, name: str, change: Any, told: str
) -> None:
    path = folder / name
    if change is None:
        path.unlink()
    else:
        path.write_text(change(path.read_text()))
    edited = name == "scores.csv" and change is not None
    with pytest.raises(InvalidDataError, match="it is not what the run wrote" if edited else told):
        read_audit(folder)
    if edited:  # as if the run had written it
        run = json.loads((folder / "run.json").read_text())
        run["files"][name] = file_digest(path)
        (folder / "run.json").write_text(json.dumps(sealed(run)))
        with pytest.raises(InvalidDataError, match=told):
            read_audit(folder)
