"""Every switch of the command does what it says, on the cheapest exhibit."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from bench.paper import harness
from bench.paper.__main__ import main
from bench.paper.cases import CASES, digits
from bench.paper.detectors import DETECTORS, LAST, OURS, chosen
from bench.paper.problem import Context, Problem

Rows = list[dict[str, Any]]


def rows_of(folder: Path, *arguments: str) -> Rows:
    """What the command leaves in the folder for Table 10."""
    main(["table10", "--quick", "--out", str(folder), *arguments])
    return harness.rows_of(folder, "table10")


def ap(rows: Rows, row: str, variant: str = "") -> float:
    return next(r["ap"] for r in rows if (r["row"], r["variant"]) == (row, variant))


def test_departures_of_the_public_code_have_rows_of_their_own(tmp_path: Path) -> None:
    told = {
        "": [], "floor 0.05": ["--floor", ".05"], "chained 2": ["--chained", "2"],
        "public code": ["--public-code"], "labels aggre": ["--human", "aggre"],
    }  # fmt: skip
    for switches in told.values():
        rows = rows_of(tmp_path, "--methods", "GEX", *switches)
    assert [row["variant"] for row in rows] == sorted(told)
    plain = ap(rows, "GEX")
    assert ap(rows, "GEX", "labels aggre") == plain  # nobody labelled this text
    assert len({ap(rows, "GEX", name) for name in told}) > 2
    again = rows_of(tmp_path, "--methods", "GEX", "--floor", ".05")
    assert len(again) == len(rows)
    assert harness.usual(again) == [row for row in rows if not row["variant"]]


def test_jobs_and_workers_measure_the_same(tmp_path: Path) -> None:
    asked = ("--methods", "GEX,Loss()")
    plain = rows_of(tmp_path / "plain", *asked)
    for switch in ("--jobs", "--workers"):
        other = rows_of(tmp_path / switch, *asked, switch, "2")
        assert [row["row"] for row in other] == ["GEX", "Loss()"]
        for row in ("GEX", "Loss()"):
            assert ap(other, row) == ap(plain, row)
    with pytest.raises(SystemExit):
        main(["table10", "--quick", "--jobs", "2", "--workers", "2"])


def test_methods_may_hold_commas_and_only_what_is_asked_for_is_measured_again(
    tmp_path: Path,
) -> None:
    rows = rows_of(tmp_path, "--methods", "Loss(),RandProj")
    assert [row["row"] for row in rows] == ["RandProj", "Loss()"]
    kept = rows_of(tmp_path, "--methods", "Loss()")
    assert kept[0] == rows[0]
    assert kept[1]["measured"]
    names = [d.row for d in chosen("GEX(), our default, Loss()")]
    assert names == ["GEX(), our default", "Loss()"]
    assert chosen("Deep-KNN", OURS) == []  # another exhibit has it
    context = Context(scale="quick", data=None, cache=tmp_path)
    for asked, decided in (("", True), ("EL2N", False), ("GEX(), our default", True)):
        found = [task.key["row"] for task in harness.exhibit("table9").tasks(context, 0, asked)]
        assert (LAST in found) is decided


@pytest.mark.parametrize("scale", ["small", "medium", "full"])
def test_missing_data_are_refused_in_one_sentence(
    scale: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["table8", "--scale", scale, "--cells", "SVHN", "--cache", str(tmp_path / "cache")]
    call += ["--out", str(tmp_path / "rows")]
    with pytest.raises(SystemExit, match=r"^nothing was measured: .* give it with --data$"):
        main(call)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match=r"under the folder of --data; put it there$"):
        main([*call, "--data", str(tmp_path / "empty")])
    assert capsys.readouterr().err.count("not_run") == 2  # one line each, not one for each method


def test_what_failed_is_tried_again_by_resume(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "--methods", "Loss()")
    told = {"scale": "quick", "seed": 0, "cell": "DBPedia", "row": "EL2N", "measured": "then"}
    harness.put(tmp_path, "table10", [*rows, {**told, "not_run": "there was no file"}])
    again = rows_of(tmp_path, "--methods", "Loss(),EL2N", "--resume")
    assert [row["row"] for row in again] == ["EL2N", "Loss()"]
    assert "ap" in again[0]
    assert again[1] == rows[0]


def test_the_digest_of_a_call_has_the_defaults_of_the_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = Problem("DBPedia", Context(scale="quick", data=None, cache=tmp_path), 0)
    keys = {row: problem.key(DETECTORS[row]) for row in ("GEX(), our default", "EL2N")}
    field = gx.GEX.__dataclass_fields__["ceiling"]
    monkeypatch.setattr(field, "default", 7.0)
    assert problem.key(DETECTORS["GEX(), our default"]) != keys["GEX(), our default"]
    assert problem.key(DETECTORS["EL2N"]) == keys["EL2N"]


def test_a_retraining_is_read_from_the_cache(tmp_path: Path) -> None:
    wanted = harness.Wanted(
        names=("table9",), out=tmp_path / "rows", methods="Loss()", cells="SVHN"
    )

    def accuracies() -> Rows:
        context = Context(scale="quick", data=None, cache=tmp_path)
        harness.run(wanted, context, resume=False)
        return harness.rows_of(wanted.out, "table9")

    first = accuracies()
    files = sorted(tmp_path.glob("*.accuracy"))
    assert files
    for file in files:
        file.write_text("12.5", "utf-8")
    again = accuracies()
    assert [row["row"] for row in first] == [row["row"] for row in again]
    assert {row["accuracy"] for row in again if row["row"] != "Noisy label acc."} == {12.5}


@pytest.mark.parametrize("human", ["aggre", "random3", "worse"])
def test_labels_of_people_are_those_that_were_asked_for(human: str, tmp_path: Path) -> None:
    train, test, _ = digits(None)
    people = {kind: (train.y + shift) % 10 for shift, kind in
              enumerate(("aggre", "random3", "worse"), 1)}  # fmt: skip
    case = replace(CASES["CIFAR-10-N"], small=lambda folder: (train, test, people))
    context = Context(scale="small", data=None, cache=tmp_path, human=human)
    assert context.variant == ("" if human == "worse" else f"labels {human}")
    given = Problem(case, context, 0).split
    steps = {"aggre": 1, "random3": 2, "worse": 3}[human]
    assert np.array_equal(given.given, (given.true + steps) % 10)


def test_rows_are_in_the_order_of_the_tables(tmp_path: Path) -> None:
    lines = [
        {"seed": seed, "cell": cell, "row": row, "measured": "now"}
        for seed, cell, row in [
            (1, "SVHN", "GEX"), (0, "SVHN", "GEX"), (0, "MNIST", "Loss()"), (0, "MNIST", "GEX"),
        ]
    ]  # fmt: skip
    harness.put(tmp_path, "table8", lines)
    text = (tmp_path / "table8.jsonl").read_text("utf-8")
    assert not re.search("variant", text)
    harness.sort(tmp_path, "table8")
    rows = [json.loads(line) for line in (tmp_path / "table8.jsonl").read_text().splitlines()]
    assert [(r["seed"], r["cell"], r["row"]) for r in rows] == [
        (0, "MNIST", "GEX"), (0, "MNIST", "Loss()"), (0, "SVHN", "GEX"), (1, "SVHN", "GEX"),
    ]  # fmt: skip
