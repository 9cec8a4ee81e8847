"""`gexcore prune`: exactly the share asked for."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from gexcore.backend.digests import file_digest
from gexcore.decisions.prune import prune
from gexcore.report.finished import sealed

PRUNE = ("prune", "audit", "--out", "small.npz")


def scores(name: str) -> np.ndarray:
    with Path("audit/scores.csv").open(newline="") as file:
        return np.array([float(row[name]) for row in csv.DictReader(file)])


@pytest.mark.parametrize("by", ["self_influence", "suspicion"])
@pytest.mark.parametrize("quota", [False, True])
def test_the_highest_are_kept(cleanable, run, three, by, quota):
    extra = ("--class-quota",) if quota else ()
    outcome = run(*PRUNE, "--keep", "0.5", "--by", by, *extra)
    assert outcome.code == 0
    assert outcome.out.startswith("300 samples: 150 left out, 0 relabelled, 150 as they were")
    kept = prune(scores(by), 0.5, labels=three.given, class_quota=quota)
    with np.load("small.npz") as found:
        np.testing.assert_array_equal(found["index"], kept)
        np.testing.assert_array_equal(found["x"], three.x[kept])
        np.testing.assert_array_equal(found["y"], three.given[kept])


def test_a_dry_run_writes_nothing(cleanable, run):
    before = sorted(cleanable.rglob("*"))
    assert "nothing is written" in run(*PRUNE, "--keep", "0.9", "--dry-run").out
    assert sorted(cleanable.rglob("*")) == before


def test_a_regression_can_be_pruned(cleanable, run, three):
    targets = three.x @ np.array([[-1.0, 1.0, 0.0], [-1.0, -1.0, 2.0]]) + 0.1
    np.savez("targets.npz", x=three.x, y=targets)
    few = (
        "--loss",
        "squared_error",
        "--chains",
        "1",
        "--snapshots",
        "2",
        "--lr",
        "0.001",
        "--quiet",
    )
    assert run("score", "model.py:build", "targets.npz", "--out", "regression", *few).code == 0
    assert run("prune", "regression", "--keep", "0.1", "--out", "small.npz").code == 0
    with np.load("small.npz") as found:
        assert found["y"].dtype == np.float64
        np.testing.assert_array_equal(found["y"], targets[found["index"]])
        assert len(found["index"]) == 30
    assert (
        "class_quota needs the given classes"
        in run("prune", "regression", "--keep", "0.1", "--class-quota", "--out", "a.npz").err
    )
    assert (
        "the targets of regression are no classes"
        in run("clean", "regression", "--drop", "--out", "a.npz").err
    )


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ((), "the following arguments are required: --keep"),
        (
            ("--keep", "0"),
            "keep is 0.0, and must be a share above 0 (one of the 300 samples at least) and "
            "at most 1",
        ),
        (("--keep", "1.5"), "keep is 1.5"),
        (("--keep", "nan"), "keep is nan"),
        (("--keep", "0.004"), "no sample of class"),
        (
            ("--keep", "0.004", "--class-quota"),
            "1 samples are to be kept of 3 classes, and a class must not vanish",
        ),
        (("--keep", "0.5", "--by", "loss"), "invalid choice: 'loss'"),
    ],
)
def test_arguments(cleanable, run, args, told):
    outcome = run(*PRUNE, *args)
    assert (outcome.code, outcome.out) == (2, "")
    assert told in outcome.err
    assert not Path("small.npz").exists()


def test_scores_that_are_missing(cleanable, run):
    path = Path("audit/scores.csv")
    rows = [line.split(",") for line in path.read_text().splitlines()]
    rows[5][3] = ""
    path.write_text("\n".join(map(",".join, rows)) + "\n")
    record = json.loads(Path("audit/run.json").read_text())
    record["files"]["scores.csv"] = file_digest(path)  # as if the run had written it
    Path("audit/run.json").write_text(json.dumps(sealed(record)))
    told = run(*PRUNE, "--keep", "0.5").err
    assert "1 samples of audit have no self_influence, and pruning ranks by it" in told
    assert run(*PRUNE, "--keep", "0.5", "--by", "suspicion").code == 0
