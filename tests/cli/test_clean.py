"""`gexcore clean`: a new file, an unchanged old one, and one sentence for each refusal."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gexcore as gx
from gexcore.backend.digests import file_digest
from gexcore.cli.scored_folder import stored_predictions
from gexcore.report.finished import sealed
from gexcore_numpy import MLP

FLIPPED = [0, 7, *range(25, 300, 25)]
SCORE = ("--chains", "2", "--snapshots", "4", "--lr", "0.01", "--quiet")


def suspects(folder: str = "audit") -> list[int]:
    with Path(folder, "scores.csv").open(newline="") as file:
        return [int(row["index"]) for row in csv.DictReader(file) if row["suspect"] == "true"]


@pytest.fixture
def refused(cleanable, run):
    """Run a command that must fail with one sentence and leave no trace."""

    def command(*args: object) -> str:
        before = {path: path.read_bytes() for path in cleanable.rglob("*") if path.is_file()}
        outcome = run(*args)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith("gexcore: ")
        assert outcome.err.count("\n") == 1
        assert before == {
            path: path.read_bytes() for path in cleanable.rglob("*") if path.is_file()
        }
        return outcome.err

    return command


def test_by_default_suspects_that_the_members_confirm_are_left_out(cleanable, run, three):
    outcome = run("clean", "audit", "--relabel", "--rate", "0.1", "--out", "clean.npz")
    assert (outcome.code, outcome.err) == (0, "")
    with np.load("audit/predictions.npz") as stored:
        best = stored["probabilities"].argmax(axis=1)
    scores = pd.read_csv("audit/scores.csv")["suspicion"].to_numpy()
    treated = np.argsort(-scores, kind="stable")[:30]
    confirmed = [i for i in treated if best[i] == three.given[i]]
    assert len(confirmed) == 30 - len(FLIPPED)
    assert outcome.out.startswith(
        f"300 samples: {len(confirmed)} left out, {len(FLIPPED)} relabelled, "
    )
    with np.load("clean.npz") as found:
        np.testing.assert_array_equal(found["index"], np.setdiff1d(np.arange(300), confirmed))
        np.testing.assert_array_equal(found["y"], three.true[found["index"]])
        np.testing.assert_array_equal(found["x"], three.x[found["index"]])


def test_relabelling_writes_the_right_labels(cleanable, run, three):
    before = Path("data.npz").read_bytes()
    outcome = run("clean", "audit", "--relabel=argmax", "--out", "clean.npz")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"300 samples: 0 left out, {len(FLIPPED)} relabelled, ")
    assert outcome.out.endswith("written to clean.npz: 300 samples\n")
    with np.load("clean.npz") as found:
        np.testing.assert_array_equal(found["x"], three.x)
        np.testing.assert_array_equal(found["y"], three.true)
        assert found["y"].dtype == three.given.dtype
        np.testing.assert_array_equal(found["index"], np.arange(300))
    assert Path("data.npz").read_bytes() == before


def test_a_cleaned_file_can_be_scored_again(cleanable, run):
    assert run("clean", "audit", "--relabel=eq16", "--out", "soft.npz").code == 0
    assert run("score", "model.py:build", "soft.npz", "--out", "again", *SCORE).code == 0


def test_dropping_leaves_the_suspects_out(cleanable, run, three):
    assert run("clean", "audit", "--drop", "--out", "clean.npz").code == 0
    kept = np.setdiff1d(np.arange(300), suspects())
    assert len(kept) < 300
    with np.load("clean.npz") as found:
        np.testing.assert_array_equal(found["index"], kept)
        np.testing.assert_array_equal(found["x"], three.x[kept])
        np.testing.assert_array_equal(found["y"], three.given[kept])


@pytest.mark.parametrize("method", ["eq16", "distill", "complementary"])
def test_soft_targets_are_rows(cleanable, run, three, method):
    assert run("clean", "audit", f"--relabel={method}", "--out", "clean.npz").code == 0
    with np.load("clean.npz") as found:
        assert (found["y"].shape, found["y"].dtype) == ((300, 3), np.float32)
        others = np.setdiff1d(np.arange(300), suspects())
        np.testing.assert_array_equal(found["y"][others], np.eye(3)[three.given[others]])
        rows = found["y"][suspects()]
        assert (rows.sum(axis=1) <= 1 + 1e-6).all()
        if method != "distill":
            assert (rows[np.arange(len(rows)), three.given[suspects()]] == 0).all()
    told = run("clean", "audit", f"--relabel={method}", "--out", "other.npz", "--dry-run").out
    assert "mostly" in told


def test_a_dry_run_tells_the_same_and_writes_nothing(cleanable, run):
    before = sorted(cleanable.rglob("*"))
    dry = run("clean", "audit", "--relabel", "--out", "clean.npz", "--dry-run")
    assert sorted(cleanable.rglob("*")) == before
    assert dry.out.endswith("nothing is written: without --dry-run it goes to clean.npz\n")
    real = run("clean", "audit", "--relabel", "--out", "clean.npz")
    assert dry.out.splitlines()[:-1] == real.out.splitlines()[:-1]


def test_a_rate_replaces_the_suspects(cleanable, run, three):
    assert run("clean", "audit", "--drop", "--rate", "0.02", "--out", "clean.npz").code == 0
    with np.load("clean.npz") as found:
        gone = np.setdiff1d(np.arange(300), found["index"])
    assert len(gone) == 6
    assert set(gone) <= set(FLIPPED)


@pytest.fixture
def table(cleanable, run, three, request):
    """The same data as a table, scored."""
    frame = pd.DataFrame({"height": three.x[:, 0], "kind": three.given, "width": three.x[:, 1]})
    name = f"data{request.param}"
    frame.to_csv(name, index=False) if request.param == ".csv" else frame.to_parquet(name)
    assert (
        run("score", "model.py:build", name, "--label", "kind", "--out", "table", *SCORE).code == 0
    )
    return frame


@pytest.mark.parametrize("table", [".csv", ".parquet"], indirect=True)
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
def test_a_table_stays_a_table(table, run, three, suffix):
    out = f"clean{suffix}"
    assert run("clean", "table", "--relabel=argmax", "--out", out).code == 0
    if suffix == ".npz":
        with np.load(out) as found:
            np.testing.assert_array_equal(found["x"], three.x)
            np.testing.assert_array_equal(found["y"], three.true)
        return
    found = pd.read_csv(out) if suffix == ".csv" else pd.read_parquet(out)
    assert list(found.columns) == ["height", "kind", "width"]
    pd.testing.assert_frame_equal(found, table.assign(kind=three.true), check_exact=True)


@pytest.mark.parametrize("table", [".csv"], indirect=True)
def test_soft_targets_of_a_table_are_columns(table, run):
    assert run("clean", "table", "--relabel=eq16", "--out", "clean.csv").code == 0
    found = pd.read_csv("clean.csv")
    assert list(found.columns) == ["height", "kind_0", "kind_1", "kind_2", "width"]
    assert (found[["kind_0", "kind_1", "kind_2"]].sum(axis=1) <= 1 + 1e-6).all()


def test_labels_of_scikit_learn_keep_their_names(cleanable, run, three):
    (cleanable / "linear.py").write_text(
        "import numpy as np\nfrom sklearn.linear_model import SGDClassifier\n\ndef build():\n"
        "    with np.load('named.npz') as data:\n"
        "        x, y = data['x'], data['true']\n"
        "    return SGDClassifier(loss='log_loss', random_state=0).fit(x, y)\n"
    )
    names = np.array([10, 20, 30])
    np.savez("named.npz", x=three.x, y=names[three.given], true=names[three.true])
    assert run("score", "linear.py:build", "named.npz", "--out", "named", *SCORE).code == 0
    assert (
        run("clean", "named", "--relabel=argmax", "--rate", "0.05", "--out", "clean.npz").code == 0
    )
    with np.load("clean.npz") as found:
        np.testing.assert_array_equal(found["y"], names[three.true])


def test_data_that_moved_is_named(cleanable, run, refused):
    Path("data.npz").rename("elsewhere.npz")
    clean = ("clean", "audit", "--drop", "--out", "clean.npz")
    assert "data.npz is not there any more; say with --data where it is now" in refused(*clean)
    assert run(*clean, "--data", "elsewhere.npz").code == 0


def test_other_data_is_refused(refused, three):
    np.savez("data.npz", x=three.x + 1, y=three.given)
    told = refused("clean", "audit", "--drop", "--out", "clean.npz")
    assert "data.npz is not what audit scored: its content differs" in told


def test_what_exists_is_never_overwritten(refused):
    for out in ("data.npz", "model.py", "audit/scores.csv", "audit"):
        told = refused("clean", "audit", "--drop", "--out", out)
        assert (
            "exists, and is never overwritten" in told
            or "is of no known kind" in told
            or "holds one value" in told
        )


def rewrite(name: str, change: Any) -> None:
    path = Path("audit", name)
    path.write_text(change(path.read_text()))
    seal(name)


def seal(name: str) -> None:
    """As if the run had written it."""
    try:
        run = json.loads(Path("audit/run.json").read_text())
    except json.JSONDecodeError:
        return
    if name != "run.json":
        run["files"][name] = file_digest(Path("audit", name))
    Path("audit/run.json").write_text(json.dumps(sealed(run)))


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ((), "one of the arguments --drop --relabel is required"),
        (("--drop", "--relabel"), "not allowed with argument --drop"),
        (("--relabel=guess",), "invalid choice: 'guess'"),
        (
            ("--drop", "--rate", "0"),
            "--rate is 0.0, and must be a share above 0 (one of 300 samples at least)",
        ),
        (("--drop", "--rate", "1"), "--rate is 1.0, and must be a share above 0"),
        (("--drop", "--rate", "nan"), "--rate is nan"),
        (("--drop", "--data", "none.npz"), "none.npz does not exist"),
    ],
)
def test_arguments(refused, args, told):
    assert told in refused("clean", "audit", *args, "--out", "clean.npz")


def test_files_that_cannot_be(refused):
    assert "x has 2 dimensions, and a cell of clean.csv holds one" in refused(
        "clean", "audit", "--drop", "--out", "clean.csv"
    )
    assert "clean.txt is of no known kind" in refused(
        "clean", "audit", "--drop", "--out", "clean.txt"
    )
    assert "nowhere is no folder" in refused(
        "clean", "audit", "--drop", "--out", "nowhere/clean.npz"
    )


def test_folders_that_hold_no_scores(refused):
    clean = ("--drop", "--out", "clean.npz")
    assert "nowhere has no scores.csv; give the folder of a finished" in refused(
        "clean", "nowhere", *clean
    )
    rewrite("run.json", lambda text: json.dumps({**json.loads(text), "command": {"name": "bench"}}))
    assert "audit does not tell which files it scored" in refused("clean", "audit", *clean)
    rewrite("run.json", lambda text: text[:50])
    assert "audit cannot be read as scores" in refused("clean", "audit", *clean)


def test_no_suspects_leave_nothing_to_clean(refused):
    rewrite("scores.csv", lambda text: text.replace("true", "false"))
    told = refused("clean", "audit", "--relabel", "--out", "clean.npz")
    assert "audit has no suspects (two parts far apart" in told
    assert "review the top of the page of `gexcore report` and give its marks" in told


def test_a_class_must_not_vanish(refused):
    rewrite(
        "scores.csv",
        lambda text: "".join(
            line.replace("false", "true") if line.split(",")[1] == "2" else line
            for line in text.splitlines(keepends=True)
        ),
    )
    told = refused("clean", "audit", "--drop", "--out", "clean.npz")
    assert "no sample of class 2 would be left" in told
    assert "relabel instead of dropping, or drop fewer" in told


def test_predictions_that_are_damaged_or_of_the_suspects_only(refused, run):
    path = Path("audit/predictions.npz")
    with np.load(path) as stored:
        rows = suspects()
        np.savez(
            path,
            index=rows,
            logits=stored["logits"][rows],
            probabilities=stored["probabilities"][rows],
        )
    seal(path.name)
    relabel = ("clean", "audit", "--relabel=eq16", "--out", "clean.npz")
    assert "holds the predictions of the" in refused(*relabel, "--rate", "0.2")
    assert run(*relabel).code == 0
    for content in (b"", path.read_bytes()[:100]):
        path.write_bytes(content)
        for as_written in (False, True):
            if as_written:
                seal(path.name)
            assert "audit/predictions.npz cannot be read (" in refused(
                *relabel[:3], "--out", "other.npz"
            )


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: {"index": arrays["index"][:1]},
        lambda arrays: {"index": arrays["index"][::-1]},
        lambda arrays: {"index": arrays["index"].astype(float)},
        lambda arrays: {"logits": arrays["logits"][:-1]},
        lambda arrays: {"logits": arrays["logits"][:, :-1]},
        lambda arrays: {"logits": arrays["logits"].astype("U8")},
        lambda arrays: {"probabilities": arrays["probabilities"][None]},
        lambda arrays: {"probabilities": arrays["probabilities"].astype(complex)},
        lambda arrays: {"suggested": arrays["suggested"][:-1]},
        lambda arrays: {"suggested": arrays["suggested"] + 70_000},
        lambda arrays: {"suggested": -1 - arrays["suggested"]},
        lambda arrays: {"suggested": arrays["suggested"] / 2},
    ],
)
def test_predictions_that_do_not_fit_together(refused, change):
    path = Path("audit/predictions.npz")
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **{**arrays, **change(arrays)})
    seal(path.name)
    told = refused("clean", "audit", "--relabel", "--out", "clean.npz")
    assert "audit/predictions.npz cannot be read (" in told


def test_predictions_of_an_older_run_have_no_suggested_labels(cleanable, run, three):
    path = Path("audit/predictions.npz")
    with np.load(path) as stored:
        older = {name: stored[name] for name in ("index", "logits", "probabilities")}
        assert set(stored) == {*older, "suggested"}
        assert (stored["suggested"] != three.given[stored["index"]]).all()
    np.savez(path, **older)
    seal(path.name)
    assert run("clean", "audit", "--relabel=other", "--out", "clean.npz").code == 0
    p = older["probabilities"][suspects()].copy()
    p[np.arange(len(p)), three.given[suspects()]] = -1
    with np.load("clean.npz") as found:
        np.testing.assert_array_equal(found["y"][suspects()], p.argmax(axis=1))


def test_large_runs_store_predictions_of_their_suspects(three):
    model = MLP([np.array([[-1.0, 1.0, 0.0], [-1.0, -1.0, 2.0]])], [np.zeros(3)])
    influence = gx.GEX(chains=2, snapshots=4, lr=0.01).fit(
        model, (three.x, three.given), progress=False
    )
    found = influence.suspects()
    files = io.BytesIO(), io.BytesIO()
    for file, limit in zip(files, (900, 899), strict=True):
        stored_predictions(influence, found, limit=limit)(file)
        file.seek(0)
    every, some = map(np.load, files)
    np.testing.assert_array_equal(every["index"], np.arange(300))
    np.testing.assert_array_equal(some["index"], np.sort(found.indices))
    np.testing.assert_array_equal(some["logits"], every["logits"][some["index"]])
    np.testing.assert_allclose(every["logits"], three.x @ model.weights[0], rtol=1e-6)
    np.testing.assert_array_equal(every["suggested"], influence.suggested_labels())
    np.testing.assert_array_equal(some["suggested"], every["suggested"][some["index"]])


def test_marks_of_a_review_beat_the_suggestions(cleanable, run, three):
    fine, other = suspects()[0], 1
    Path("marks.csv").write_text(
        "index,label,suspicion,mark,new_label\n"
        f"{fine},{three.given[fine]},3.0,fine,\n{other},{three.given[other]},0.1,wrong,0\n"
    )
    outcome = run("clean", "audit", "--relabel=argmax", "--marks", "marks.csv", "--out", "c.npz")
    assert (outcome.code, outcome.err) == (0, "")
    with np.load("c.npz") as found:
        expected = three.true.copy()
        expected[fine], expected[other] = three.given[fine], 0
        np.testing.assert_array_equal(found["y"], expected)


def test_marks_of_other_data_are_refused(refused, three):
    Path("marks.csv").write_text(f"index,label,mark\n0,{(three.given[0] + 1) % 3},fine\n")
    told = refused("clean", "audit", "--drop", "--marks", "marks.csv", "--out", "c.npz")
    assert "another label for sample 0 than the data" in told
