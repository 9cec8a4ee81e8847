"""`gexcore demo`: one whole run in a process of its own, then what it refuses and overwrites."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gexcore.cli import main
from gexcore.cli.demo import digits

WITHOUT_MATPLOTLIB = (
    "import sys; sys.modules['matplotlib'] = None; from gexcore.cli import main; sys.exit(main())"
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "gexcore", "demo", "--quiet"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return folder / "gexcore-demo", done.stdout


def test_the_ranking_beats_plain_loss(demo):
    _, out = demo
    found = {
        name: float(ap)
        for name, ap in re.findall(r"^  (\S.*?\S)  +\S+  +(\d\.\d+)$", out, re.MULTILINE)
    }
    assert found["GEX, suspicion()"] >= 0.95
    assert found["plain loss of the checkpoint"] < 0.9


def test_it_says_what_the_files_say(demo):
    out, text = demo
    data = digits(0.1, 0)
    with (out / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["label"]) for row in rows] == data.given.tolist()
    suspects = np.array([row["suspect"] == "true" for row in rows])
    assert f"\n{suspects.sum()} suspects, " in text
    precision, recall = data.flipped[suspects].mean(), suspects[data.flipped].mean()
    assert (
        f"of the suspects {precision:.1%} are flipped labels, and of those {recall:.1%} are "
        "suspects" in text
    )
    worst = int(np.argmax([float(row["suspicion"]) for row in rows]))
    first = re.search(r"true label +suspicion\n +(\d+) +(\d) +(\d) +(\d) ", text)
    assert first is not None
    assert [int(group) for group in first.groups()] == [
        worst, data.given[worst], int(rows[worst]["suggested_label"]), data.true[worst],
    ]  # fmt: skip
    assert (out / "histogram.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "run.json").read_text())["command"]["noise"] == 0.1


def test_the_readme_shows_what_it_prints(demo):
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    shown = readme.split("$ gexcore demo\n")[1].split("```")[0].splitlines()
    forms = {re.sub(r"[\d.]+", "N", line) for line in demo[1].splitlines()}
    assert [
        line for line in shown if line != "…" and re.sub(r"[\d.]+", "N", line) not in forms
    ] == []
    assert len(shown) > 10


def test_it_names_the_next_command_which_shows_its_pictures(demo, tmp_path):
    folder, text = demo
    (told,) = re.findall(r"^look at them: gexcore (.*)$", text, re.MULTILINE)
    address = tmp_path / "address"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {address}\n')
    browser.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "gexcore", *told.split()],
        cwd=folder.parent, env={**os.environ, "BROWSER": f"{browser} %s"}, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    page = folder / "report.html"
    assert done.stderr == ""
    assert address.read_text().strip() == page.absolute().as_uri()
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/png") > 1000
    assert '"related":[[[' in text
    page.unlink()


def test_a_report_says_where_it_is_if_there_is_no_browser(demo, tmp_path):
    page = tmp_path / "page.html"
    done = subprocess.run(
        [sys.executable, "-m", "gexcore", "report", demo[0], "--open", "--out", page],
        env={**os.environ, "BROWSER": "/nowhere/browser", "PATH": "/nowhere"}, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stderr == f"gexcore: no browser was found; open {page} by hand\n"
    assert page.exists()


def test_its_suspects_can_be_relabelled(demo, tmp_path):
    out = tmp_path / "cleaned.npz"
    assert main(["clean", str(demo[0]), "--relabel", "--out", str(out)]) == 0
    data, cleaned = digits(0.1, 0), np.load(out)
    wrong = (cleaned["y"] != data.true[cleaned["index"]]).mean()
    assert wrong < data.flipped.mean() / 2


def test_it_overwrites_its_own_folder_whole(demo, tmp_path):
    out = tmp_path / "again"
    out.mkdir()
    for path in demo[0].iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    args = ["demo", "--out", str(out), "--noise", "0.05", "--chains", "1", "--snapshots", "8"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_MATPLOTLIB, *args],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (
        "histogram.png is left out, since matplotlib is not installed; try: pip install "
        "'gexcore[report]'" in done.stdout
    )
    assert sorted(path.name for path in out.iterdir()) == [
        "digits.npz",
        "predictions.npz",
        "related.json",
        "run.json",
        "scores.csv",
    ]
    assert json.loads((out / "run.json").read_text())["command"]["noise"] == 0.05


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"notes.txt": "mine"}, "is not empty and holds no run of gexcore"),
        ({"run.json": '{"command": {"name": "score"}}'}, "holds a run that is no demo"),
    ],
)
def test_it_leaves_other_folders_alone(tmp_path, capsys, content, told):
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    assert main(["demo", "--out", str(tmp_path)]) == 2
    assert told in capsys.readouterr().err
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == content


@pytest.mark.parametrize("noise", [0.001, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("seed", [0, 1])
def test_flips_are_exact_in_number_and_even_among_the_other_classes(noise, seed):
    data = digits(noise, seed)
    assert data.flipped.sum() == round(noise * 1797)
    assert set(data.given) <= set(range(10))
    moved = np.bincount((data.given - data.true)[data.flipped] % 10, minlength=10)
    assert moved[0] == 0
    expected = data.flipped.sum() / 9
    assert (
        (moved[1:] - expected) ** 2 / expected
    ).sum() < 27  # the 0.1 % tail of chi-square with 8 degrees of freedom
    assert not np.array_equal(data.flipped, digits(noise, seed + 10).flipped)
