"""Every exhibit runs on tiny data, by the command that a reader gives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.paper.detectors import DETECTORS, chosen, registered
from bench.paper.harness import NAMES, exhibit

ROOT = Path(__file__).parents[2]
REFUSED = ("no better than a guess", "eigenvalue")
"""What a method may say of a net that six epochs on 120 digits have hardly trained."""


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    command(folder, "all")
    return folder


def command(folder: Path, *arguments: str) -> str:
    call = [sys.executable, "-m", "bench.paper", *arguments, "--quick", "--out", str(folder)]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=570)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stderr


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_an_exhibit_has_rows(rows: Path, name: str) -> None:
    found = [json.loads(line) for line in (rows / f"{name}.jsonl").read_text("utf-8").splitlines()]
    refused = [row["not_run"] for row in found if "not_run" in row]
    assert len(found) > len(refused)
    assert all(any(part in reason for part in REFUSED) for reason in refused), refused
    assert exhibit(name).TITLE


def test_rows_that_are_there_are_not_measured_again(tmp_path: Path) -> None:
    first = command(tmp_path, "table10", "--methods", "Loss(),RandProj")
    text = (tmp_path / "table10.jsonl").read_text("utf-8")
    again = command(tmp_path, "table10", "--methods", "Loss(),RandProj", "--resume")
    assert first.count("table10") == 2
    assert "table10" not in again
    assert (tmp_path / "table10.jsonl").read_text("utf-8") == text


def test_every_row_of_the_paper_is_a_call_of_a_registered_method() -> None:
    for detector in DETECTORS.values():
        ways = {way.takes for way in detector.registered.ways}
        assert detector.takes in ways, detector.row
    with pytest.raises(SystemExit, match="no method named 'Nothing'"):
        chosen("Nothing")
    assert [d.row for d in chosen("AUM(recorder=…)")] == ["AUM(recorder=…)"]
    assert "GEX()" in registered()
