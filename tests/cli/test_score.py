"""`gexcore score` end to end: what it writes, and when it refuses to write again."""

from __future__ import annotations

import csv
import json
import math
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import gexcore as gx
from gexcore.cli.catalogue import METHODS, by_name
from gexcore.cli.model import load_model
from gexcore.store.lock import locked

FEW = ("--chains", "2", "--snapshots", "4", "--lr", "0.1")
SCORE = ("score", "model.py:build", "data.npz", "--out", "audit", *FEW)
WRITTEN = ["predictions.npz", "related.json", "run.json", "scores.csv", "store"]
COLUMNS = [
    "index",
    "label",
    "suspicion",
    "self_influence",
    "standard_error",
    "suspect",
    "suggested_label",
]


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def scored(project, run):
    assert run(*SCORE).code == 0
    return project / "audit"


def test_a_process_scores_and_the_same_command_again_does_nothing(project, blobs):
    command = [sys.executable, "-m", "gexcore", *SCORE]
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "120 samples scored by GEX on numpy" in first.stdout
    assert "the most suspect:" in first.stdout
    assert first.stderr == ""
    rows = rows_of(project / "audit")
    assert list(rows[0]) == COLUMNS
    assert [int(row["index"]) for row in rows] == list(range(120))
    assert [int(row["label"]) for row in rows] == blobs[1].tolist()
    assert sorted(path.name for path in (project / "audit").iterdir()) == WRITTEN

    written = {path: path.stat().st_mtime_ns for path in (project / "audit").rglob("*")}
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stdout.startswith("audit is already scored")
    assert written == {path: path.stat().st_mtime_ns for path in (project / "audit").rglob("*")}


def test_every_digit_of_the_scores_is_written(scored, blobs):
    influence = gx.GEX(chains=2, snapshots=4, lr=0.1).fit(
        load_model("model.py:build").model, blobs, progress=False
    )
    columns = influence.columns()
    rows = rows_of(scored)
    for name in ("suspicion", "self_influence", "standard_error"):
        assert [float(row[name] or math.nan) for row in rows] == pytest.approx(
            columns[name].tolist(), abs=0, rel=0
        )
    assert [row["suspect"] for row in rows] == [
        str(suspect).lower() for suspect in columns["suspect"]
    ]
    assert [int(row["suggested_label"]) for row in rows] == columns["suggested_label"].tolist()


def test_no_cell_is_a_spreadsheet_formula(scored):
    cells = {cell for row in rows_of(scored) for cell in row.values()}
    assert not [
        cell for cell in cells if not re.fullmatch(r"\d+(\.\d+(e-?\d+)?)?|true|false|", cell)
    ]


def test_the_run_says_what_was_run(scored):
    run = json.loads((scored / "run.json").read_text())
    assert run["method"] == "GEX"
    assert run["samples"] == 120
    assert run["settings"]["snapshots"] == 4
    assert set(run["threshold"]) == {"value", "method", "reason", "clip", "withheld"}
    assert run["data"] == [str(scored.parent / "data.npz")]
    assert {"data", "model", "weights of the model", "seed", "gexcore", "backend"} <= set(
        run["command"]
    )


def test_doubts_are_told_after_the_verdict_and_kept_for_the_report(project, run):
    told = run(
        "score",
        "model.py:build",
        "data.npz",
        "--out",
        "audit",
        "--chains",
        "1",
        "--snapshots",
        "2",
        "--lr",
        "0.1",
    )
    assert told.code == 0
    assert "note (few_members): 2 members are few" in told.out
    assert told.out.count("no threshold") <= 1
    findings = json.loads((project / "audit" / "run.json").read_text())["findings"]
    (few,) = [finding for finding in findings if finding["name"] == "few_members"]
    assert (few["number"], few["limit"]) == (2, 8)
    pytest.importorskip("vl_convert")
    assert run("report", "audit").code == 0
    page = (project / "audit" / "report.html").read_text()
    assert "2 members are few" in page


def test_quiet_is_quiet(project, run):
    assert run(*SCORE, "--quiet") == (0, "", "")


def test_regression_has_no_suggested_labels(project, run, blobs):
    x, y = blobs
    np.savez("data.npz", x=x, y=np.stack([1.0 - y, y], axis=1) * 3)
    assert run(*SCORE, "--loss", "squared_error").code == 0
    assert {(row["label"], row["suggested_label"]) for row in rows_of(project / "audit")} == {
        ("", "")
    }
    assert not (project / "audit" / "predictions.npz").exists()


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (("--snapshots", "5"), "snapshots (4, now 5)"),
        (("--seed", "1", "--momentum", "0.5"), "momentum (0.9, now 0.5), seed (0, now 1)"),
        (("--weights", "mean"), "weights (ridge, now mean)"),
        (("--backend", "numpy", "--loss", "cross_entropy"), "loss (None, now cross_entropy)"),
    ],
)
def test_other_settings_are_another_run(scored, run, extra, told):
    before = (scored / "scores.csv").read_bytes()
    outcome = run(*SCORE, *extra)
    assert outcome.code == 2
    assert (
        outcome.err
        == f"gexcore: audit holds another run, which differs in {told}; choose another folder "
        "with --out\n"
    )
    assert (scored / "scores.csv").read_bytes() == before


def test_no_setting_hides_a_part_of_the_identity(scored):
    # both stand in one mapping: `weights` of GEX once hid the digest of the model's weights
    told = json.loads((scored / "run.json").read_text())["command"]
    own = set(told) - {*by_name("GEX").settings, "method"}
    assert {"data", "model", "weights of the model"} <= own
    assert not own & {name for method in METHODS for name in method.settings}


def test_other_data_is_another_run(scored, run, blobs):
    np.savez("data.npz", x=blobs[0] + 1, y=blobs[1])
    assert "differs in data;" in run(*SCORE).err


def test_other_weights_from_the_same_file_are_another_run(project, run):
    (project / "scale").write_text("1.0")
    (project / "model.py").write_text(
        "from pathlib import Path\nimport numpy as np\nfrom gexcore_numpy import MLP\n\ndef "
        "build():\n"
        "    scale = float(Path(__file__).with_name('scale').read_text())\n"
        "    return MLP([np.array([[-scale, scale], [-scale, scale]])], [np.zeros(2)])\n"
    )
    assert run(*SCORE).code == 0
    assert "already scored" in run(*SCORE).out
    (project / "scale").write_text("1.5")
    assert "differs in weights of the model;" in run(*SCORE).err


def test_the_same_contents_under_other_names_are_the_same_run(scored, run):
    Path("data.npz").rename("elsewhere.npz")
    Path("model.py").rename("net.py")
    outcome = run("score", "net.py:build", "elsewhere.npz", "--out", "audit", *FEW)
    assert (outcome.code, outcome.out[:23]) == (0, "audit is already scored")


def test_a_run_cut_short_while_writing_is_done_again(scored, run):
    whole = (scored / "scores.csv").read_bytes()
    (scored / "scores.csv").rename(scored / ".scores.csv.part")
    assert run(*SCORE).code == 0
    assert (scored / "scores.csv").read_bytes() == whole
    assert sorted(path.name for path in scored.iterdir()) == WRITTEN


def test_what_a_run_left_that_was_killed_after_its_last_file_is_taken_away(scored, run):
    before = {path: path.read_bytes() for path in scored.rglob("*") if path.is_file()}
    for name in (".lock", "writer", ".0123456789abcdef.part"):
        (scored / name).write_text("process 1")
    with locked(scored, "audit", "another folder"):
        assert run(*SCORE).out.startswith("audit is already scored")
        assert (scored / ".lock").exists(), "another process holds it"
    (scored / ".lock").touch()
    assert run(*SCORE).out.startswith("audit is already scored")
    assert before == {path: path.read_bytes() for path in scored.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "content", [{"notes.txt": "mine"}, {"run.json": "{"}, {"run.json": '{"method": "GEX"}'}]
)
def test_a_folder_of_something_else_is_left_alone(project, run, content):
    (project / "audit").mkdir()
    for name, text in content.items():
        (project / "audit" / name).write_text(text)
    outcome = run(*SCORE)
    assert outcome.code == 2
    assert (
        outcome.err
        == "gexcore: audit is not empty and holds no run of gexcore; choose another folder with "
        "--out\n"
    )
    assert {path.name: path.read_text() for path in (project / "audit").iterdir()} == content


def test_a_file_is_no_output_folder(project, run):
    assert run("score", "model.py:build", "data.npz", "--out", "model.py").err == (
        "gexcore: model.py is a file; --out names a folder\n"
    )


def test_a_model_comes_from_a_package_beside_its_own_modules(project, run):
    package = project / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "net.py").write_text("from helper import build\n")
    (project / "helper.py").write_text((project / "model.py").read_text())
    assert run("score", "package.net:build", "data.npz", "--out", "audit", *FEW).code == 0


def test_interrupting_stops_within_a_step_and_writes_nothing(project):
    (project / "slow.py").write_text(
        "import time\nfrom pathlib import Path\nfrom gexcore_numpy import NumpyBackend\nfrom "
        "model import build as fast\n\n"
        "class Slow(NumpyBackend):\n"
        "    def sgd_step_(self, state, batch, /, *, lr, seed):\n"
        "        Path('stepping').touch()\n"
        "        time.sleep(0.05)\n"
        "        return super().sgd_step_(state, batch, lr=lr, seed=seed)\n\n"
        "def build():\n    return Slow(fast())\n"
    )
    # a test run in the background ignores Ctrl-C, and hands that on; a terminal does not
    arguments = ["score", "slow.py:build", "data.npz", "--out", "audit"]
    script = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"from gexcore.cli import main; sys.exit(main({arguments}))"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 120
        while not (project / "stepping").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert (out, err) == (
        "",
        "gexcore: interrupted; results are written once a run is complete: the same command "
        "goes on\n",
    )
    assert not (project / "audit" / "scores.csv").exists()


def test_killed_at_random_moments_the_same_command_goes_on_to_the_same_bits(project):
    (project / "slow.py").write_text(
        "import time\nfrom gexcore_numpy import NumpyBackend\nfrom model import build as fast\n\n"
        "class Slow(NumpyBackend):\n"
        "    def sgd_step_(self, state, batch, /, *, lr, seed):\n"
        "        time.sleep(0.004)\n"
        "        return super().sgd_step_(state, batch, lr=lr, seed=seed)\n\n"
        "def build():\n    return Slow(fast())\n"
    )

    def command(out: str) -> list[str]:
        few = ["--chains", "2", "--snapshots", "12", "--lr", "0.1"]
        return [
            sys.executable,
            "-m",
            "gexcore",
            "score",
            "slow.py:build",
            "data.npz",
            "--out",
            out,
            *few,
        ]

    subprocess.run(command("whole"), capture_output=True, check=True)
    rng, records = np.random.default_rng(), project / "killed" / "store" / "checkpoints"
    for _ in range(3):
        with subprocess.Popen(command("killed"), stdout=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 60
            while (
                not list(records.glob("chain-*"))
                and process.poll() is None
                and time.monotonic() < deadline
            ):
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.5))
            process.kill()
    assert list(records.glob("chain-*"))
    other = [part if part != "0.1" else "0.2" for part in command("killed")]
    refused = subprocess.run(other, capture_output=True, text=True, check=False)
    if not (project / "killed" / "scores.csv").exists():
        assert (
            refused.returncode,
            "killed holds another run, which differs in lr" in refused.stderr,
        ) == (2, True)
    subprocess.run(command("killed"), capture_output=True, check=True)
    for name in ("scores.csv", "predictions.npz"):
        assert (project / "killed" / name).read_bytes() == (project / "whole" / name).read_bytes()
    done = subprocess.run(command("killed"), capture_output=True, text=True, check=True)
    assert done.stdout.startswith("killed is already scored")


def test_a_reader_that_leaves_loses_nothing(project):
    command = [sys.executable, "-m", "gexcore", *SCORE]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1
    assert len(rows_of(project / "audit")) == 120


def test_a_torch_model_is_scored(project, blobs):
    (project / "net.py").write_text(
        "import torch\n\ndef build():\n"
        "    net = torch.nn.Linear(2, 2)\n"
        "    net.load_state_dict({'weight': torch.tensor([[-1., -1.], [1., 1.]]), 'bias': "
        "torch.zeros(2)})\n"
        "    return net\n"
    )
    command = [
        sys.executable,
        "-m",
        "gexcore",
        "score",
        "net.py:build",
        "data.npz",
        "--out",
        "audit",
        *FEW,
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert json.loads((project / "audit" / "run.json").read_text())["backend"] == "torch"
    scores = np.array([float(row["suspicion"]) for row in rows_of(project / "audit")])
    assert set(np.argsort(-scores)[:3]) == {3, 17, 80}


def test_names_without_a_class_of_the_model_are_refused(project, run, blobs):
    x, y = blobs
    table = [f"{a},{b},{'ab'[k]}" for (a, b), k in zip(x.tolist(), y.tolist(), strict=True)]
    few = [row for row in table if row.endswith("b")]
    for rows, code in ((table, 0), (few, 2)):
        Path("table.csv").write_text("\n".join(["u,v,kind", *rows]) + "\n")
        how = ("--label", "kind", "--out", f"out{code}", "--chains", "2", "--snapshots", "2")
        done = run("score", "model.py:build", "table.csv", *how, "--lr", "0.1")
        assert done.code == code, done.err
    assert "the labels have 1 names and the model 2 classes" in done.err
