"""Every exhibit runs on tiny data, by the command that a reader gives."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from bench.paper.detectors import DETECTORS, Switches, chosen, registered
from bench.paper.harness import NAMES, exhibit
from bench.paper.problem import Context, Problem
from bench.paper.recipes import RECIPES

ROOT = Path(__file__).parents[2]
REFUSED = ("no better than a guess", "eigenvalue", "a ridge needs at least 3 members")
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


def test_a_durable_and_spread_run_gives_the_same_scores(tmp_path: Path) -> None:
    def context(name: str, **more: Any) -> Context:
        return Context(scale="quick", data=None, cache=tmp_path / name, **more)

    def scores(given: Context) -> np.ndarray:
        return Problem("DBPedia", given, 0).scored(DETECTORS["GEX"]).values

    plain = scores(context("plain"))
    with ThreadPoolExecutor(2) as executor:
        assert np.array_equal(scores(context("other", durable=True, executor=executor)), plain)
    stores = list((tmp_path / "other").glob("*.zarr"))
    assert len(stores) == 1
    for file in (tmp_path / "other").glob("*-*.npz"):
        file.unlink()  # the scores are lost, the members are not
    assert np.array_equal(scores(context("other", durable=True)), plain)
    again = Problem("DBPedia", context("other"), 0)
    assert again.scored(DETECTORS["EL2N"]).values.shape == (again.samples,)


def test_switches_of_the_public_code_change_what_they_say(tmp_path: Path) -> None:
    def made(row: str, **switches: Any) -> Any:
        setting = RECIPES["resnet18"].scales["full"]
        left = SimpleNamespace(samples=50_000, recorder=gx.Recorder(1), checkpoints=[])
        return DETECTORS[row].make(left, setting, Switches(**switches), 0)

    assert (made("GEX").chains, made("GEX").snapshots, made("GEX").floor) == (32, 1, 0.0)
    public = made("GEX", public_code=True)
    assert (public.chains, public.snapshots, public.floor) == (8, 4, 0.05)
    assert made("GEX", chained=32).chains == 1
    assert made("F-score").never_learnt == "max"
    assert made("F-score", public_code=True).never_learnt == "zero"
    assert made("GEX").lr(0) == pytest.approx(0.05)
