"""`gexcore score --method`: every method writes its scores, as its `fit` gives them."""

from __future__ import annotations

import csv
import json
import math
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.cli.catalogue import METHODS
from gexcore.cli.model import load_model
from gexcore_numpy import MLP, NumpyBackend

EXTRAS = """
import numpy as np
from gexcore_numpy import MLP, NumpyBackend

def checkpoints():
    weights = np.array([[-1.0, 1.0], [-1.0, 1.0]])
    return [MLP([scale * weights], [np.zeros(2)]) for scale in (0.1, 0.5)]

def retrain(data, start, seed):
    backend = NumpyBackend(start)
    state = backend.initial_state()
    return backend.to_model(backend.sgd_step(state, data, lr=0.5, seed=seed))

def fold(x, y):
    backend = NumpyBackend(MLP([np.zeros((2, 2))], [np.zeros(2)]))
    state = backend.initial_state()
    for _ in range(20):
        state = backend.sgd_step(state, (x, y), lr=0.1, seed=0)
    return backend.to_model(state)
"""
FEW = ("--chains", "2", "--snapshots", "3", "--lr", "0.1")
CHAINS = {"chains": 2, "snapshots": 3, "lr": 0.1}
STATES = [
    MLP([scale * np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)]) for scale in (0.1, 0.5)
]
CASES: list[tuple[tuple[str, ...], Any]] = [
    (
        ("GEX", *FEW, "--keep", "3", "--parameters", "weight0"),
        gx.GEX(**CHAINS, keep=3, parameters="weight0"),
    ),
    (("GEXLin", *FEW), gx.GEXLin(**CHAINS)),
    (
        ("GEXRidge", "--anchors", "1", "--restarts", "4", "--anchor-steps", "5"),
        gx.GEXRidge(anchors=1, restarts=4, anchor_steps=5),
    ),
    (("if", "--damping", "0.1", "--rank", "3"), gx.IF(damping=0.1, rank=3)),
    (("IF", "--damping", "0.1", "--last-layer"), gx.LastLayer(gx.IF(damping=0.1))),
    (
        ("Arnoldi", "--iterations", "6", "--rank", "3", "--seed", "2"),
        gx.Arnoldi(iterations=6, rank=3, seed=2),
    ),
    (
        ("LiSSA", "--depth", "30", "--scale", "4", "--damping", "0.01"),
        gx.LiSSA(depth=30, scale=4.0, damping=0.01),
    ),
    (("Laplace", "--samples", "4", "--structure", "full"), gx.Laplace(samples=4, structure="full")),
    (("RandProj", "--directions", "4"), gx.RandProj(directions=4)),
    (("TracIn", "--checkpoints", "extras.py:checkpoints"), gx.TracIn(checkpoints=STATES)),
    (("TracInRP", "--checkpoints", "extras.py:checkpoints"), gx.TracInRP(checkpoints=STATES)),
    (("LOO", "--train", "extras.py:retrain", "--indices", "3,0"), None),
    (("Loss",), gx.Loss()),
    (("Margin",), gx.Margin()),
    (
        ("MeanMemberLoss", "--checkpoints", "extras.py:checkpoints"),
        gx.MeanMemberLoss(checkpoints=STATES),
    ),
    (
        ("EL2N", "--checkpoints", "extras.py:checkpoints", "--squared"),
        gx.EL2N(checkpoints=STATES, squared=True),
    ),
    (("GraNd",), gx.GraNd()),
    (
        ("DeepKNN", "--k", "class_size", "--include-self"),
        gx.DeepKNN(k="class_size", include_self=True),
    ),
    (("Forgetting", "--recorder", "run.npz", "--never-learnt", "zero"), None),
    (("AUM", "--recorder", "run.npz", "--recorder", "run.npz"), None),
    (("ConfidentLearning", "--train", "extras.py:fold", "--folds", "3"), None),
]


@pytest.fixture
def beside(project: Any, blobs: Any) -> Any:
    """What methods take beside model and data, in files."""
    (project / "extras.py").write_text(EXTRAS)
    recorder = gx.Recorder(len(blobs[1]))
    backend = NumpyBackend(STATES[0])
    recorder.add(
        np.arange(120), logits=backend.logits(backend.initial_state(), blobs), labels=blobs[1]
    )
    recorder.epoch()
    recorder.save(project / "run.npz")
    np.save(
        project / "p.npy", np.full((120, 2), 0.5) + np.linspace(-0.4, 0.4, 120)[:, None] * [1, -1]
    )
    return project


def rows_of(out: Any) -> list[dict[str, str]]:
    with (out / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_method_is_tried() -> None:
    tried = {args[0].lower() for args, _ in CASES}
    assert tried == {method.name.lower() for method in METHODS} - {"lastlayer"}


@pytest.mark.parametrize(
    ("args", "method"), CASES, ids=[" ".join(args[:1] + args[-1:]) for args, _ in CASES]
)
def test_a_method_writes_what_its_fit_gives(
    beside: Any, run: Any, blobs: Any, args: Any, method: Any
) -> None:
    score = ("score", "model.py:build", "data.npz", "--out", "audit", "--method", *args)
    outcome = run(*score)
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    assert "120 samples scored by " in outcome.out
    rows = rows_of(beside / "audit")
    assert [int(row["index"]) for row in rows] == list(range(120))
    assert [int(row["label"]) for row in rows] == blobs[1].tolist()
    record = json.loads((beside / "audit" / "run.json").read_text())
    assert record["method"].lower() == args[0].lower()
    assert record["command"]["method"] == record["method"]
    if method is not None:
        found = method.fit(load_model("model.py:build").model, blobs, progress=False)
        if isinstance(found, gx.Influence | gx.Scores):
            for name, column in found.columns().items():
                if column.dtype.kind == "f":
                    told = [float(row[name] or math.nan) for row in rows]
                    np.testing.assert_array_equal(told, column)
        else:
            np.testing.assert_allclose(
                [float(row["value"]) for row in rows], found.self_influence(), rtol=1e-12
            )
    assert run(*score).out.startswith("audit is already scored")
    other = ("--method", "Loss") if args[0] != "Loss" else FEW
    assert "audit holds another run, which differs in method (" in run(*score[:5], *other).err


def test_scores_that_need_no_model_run_without(beside: Any, run: Any) -> None:
    for number, args in enumerate(
        [
            ("AUM", "--recorder", "run.npz"),
            ("ConfidentLearning", "--probabilities", "p.npy"),
            ("ConfidentLearning", "--train", "extras.py:fold"),
        ]
    ):
        outcome = run("score", "-", "data.npz", "--out", f"audit{number}", "--method", *args)
        assert (outcome.code, outcome.err) == (0, "")
    p = np.load("p.npy")
    labels = np.load("data.npz")["y"]
    told = [float(row["value"]) for row in rows_of(beside / "audit1")]
    np.testing.assert_array_equal(told, p[np.arange(120), labels])


def test_another_file_beside_is_another_run(beside: Any, run: Any) -> None:
    score = (
        "score",
        "-",
        "data.npz",
        "--out",
        "audit",
        "--method",
        "ConfidentLearning",
        "--probabilities",
        "p.npy",
    )
    assert run(*score).code == 0
    np.save("p.npy", np.full((120, 2), 0.5))
    assert "another run, which differs in probabilities;" in run(*score).err


def test_samples_that_were_not_removed_have_no_score(beside: Any, run: Any) -> None:
    loo = ("--method", "LOO", "--train", "extras.py:retrain", "--indices", "3,0")
    assert run("score", "model.py:build", "data.npz", "--out", "audit", *loo).code == 0
    rows = rows_of(beside / "audit")
    assert [i for i, row in enumerate(rows) if row["suspicion"]] == [0, 3]


def test_solves_are_counted(beside: Any, run: Any) -> None:
    lissa = ("--method", "LiSSA", "--depth", "30", "--scale", "4")
    assert run("score", "model.py:build", "data.npz", "--out", "audit", *lissa).code == 0
    passes = json.loads((beside / "audit" / "run.json").read_text())["passes"]
    assert passes["hvp"] == 120 * 30 * 120
    assert passes["gradient"] == 120


@pytest.mark.parametrize("args", [("Margin",), ("IF", "--damping", "0.1"), ("Loss",)])
def test_what_comes_after_takes_any_method(beside: Any, run: Any, args: Any) -> None:
    assert run("score", "model.py:build", "data.npz", "--out", "audit", "--method", *args).code == 0
    assert run("report", "audit").code == 0
    assert run("clean", "audit", "--drop", "--rate", "0.025", "--out", "cleaned.npz").code == 0
    assert set(range(120)) - set(np.load("cleaned.npz")["index"].tolist()) == {3, 17, 80}
    pruned = run("prune", "audit", "--keep", "0.5", "--out", "pruned.npz")
    if args[0] == "IF":
        assert pruned.code == 0
    else:
        assert "have no self_influence, and pruning ranks by it" in pruned.err
