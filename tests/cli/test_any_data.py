"""Any table, folder or text from the shell, with the model that was saved beside it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import datasets
import joblib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
FEW = ("--chains", "2", "--snapshots", "4", "--lr", "0.1", "--quiet")
WRONG = {
    **dict.fromkeys((3, 11, 19, 27, 35), "virginica"),
    **dict.fromkeys((60, 64, 75, 104, 112, 120, 128, 136), "setosa"),
}
SHARE = str(len(WRONG) / 150)


def rows_of(path: Path | str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def iris() -> pd.DataFrame:
    """The real irises with 13 wrong names, a missing value, and text in two more columns."""
    data = load_iris(as_frame=True)
    frame = data.data.copy()
    frame.columns = ["sepal length", "sepal width", "petal length", "petal width"]
    frame.insert(0, "plant", [f"p{i:03}" for i in range(150)])
    frame["garden"] = np.where(np.arange(150) % 2, "north", "south")
    frame["species"] = data.target_names[data.target]
    frame.loc[list(WRONG), "species"] = list(WRONG.values())
    frame.loc[7, "sepal width"] = np.nan
    return frame


@pytest.fixture
def flowers(tmp_path, monkeypatch):
    """The working directory: iris.csv and model.joblib, a pipeline that was fitted on it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    iris().to_csv("iris.csv", index=False)
    frame = pd.read_csv("iris.csv")
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    pipeline = make_pipeline(
        make_column_transformer(
            (numbers, list(frame.columns[1:5])), (OneHotEncoder(), ["garden"]), remainder="drop"
        ),
        MLPClassifier((16,), alpha=0.1, max_iter=300, learning_rate_init=0.01, random_state=0),
    ).fit(frame.drop(columns=["species", "plant"]), frame["species"])
    joblib.dump(pipeline, "model.joblib")
    return tmp_path


SCORE = ("score", "model.joblib", "iris.csv", "--label", "species", "--out", "audit")


def test_the_second_example_of_the_readme(flowers, run):
    outcome = run(*SCORE, "--trust")
    assert (outcome.code, outcome.err) == (0, "")
    assert "150 samples scored by GEX on sklearn" in outcome.out
    assert "\nrelearned members: labels of classes" in outcome.out
    rows = rows_of("audit/scores.csv")
    given = iris()["species"].tolist()
    assert [row["label"] for row in rows] == given
    assert {row["suggested_label"] for row in rows} == {"setosa", "versicolor", "virginica"}
    suspects = {int(row["index"]) for row in rows if row["suspect"] == "true"}
    assert len(suspects) >= 8
    assert suspects <= set(WRONG)

    cleaned = run("clean", "audit", "--relabel", "--out", "cleaned.csv")
    assert (cleaned.code, cleaned.err) == (0, "")
    before, after = (Path(name).read_text().splitlines() for name in ("iris.csv", "cleaned.csv"))
    right = load_iris().target_names[load_iris().target]
    assert len(after) == len(before)
    changed = {i - 1 for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b}
    assert changed == suspects
    suggested = [row["suggested_label"] for row in rows]
    for i in suspects:  # nothing but the name
        assert after[i + 1] == before[i + 1].replace(WRONG[i], suggested[i])
        # plant 75 lies between two kinds
        assert suggested[i] in ({"versicolor", "virginica"} if i == 75 else {right[i]})
    assert f"{min(suspects)}: virginica → setosa" in cleaned.out

    assert run("report", "audit").code == 0
    page = Path("audit/report.html").read_text()
    assert '"classes":["setosa","versicolor","virginica"]' in page


def test_marks_that_name_the_labels(flowers, run):
    assert run(*SCORE, "--trust").code == 0
    given = iris()["species"].tolist()
    new = "setosa" if given[100] != "setosa" else "virginica"
    marks, first = Path("marks.csv"), "index,label,mark,new_label\n"
    marks.write_text(f"{first}100,{given[100]},wrong,{new}\n")
    clean = ("clean", "audit", "--drop", "--rate", "0.02", "--marks", "marks.csv", "--out")
    changes = json.loads(run(*clean, "cleaned.csv", "--json").out)["changes"]
    assert {"index": 100, "given": given[100], "new": new} in changes

    marks.write_text(f"{first}100,{given[100]},wrong,rose\n")
    told = run(*clean, "refused.csv").err
    assert "new_label 'rose'" in told
    assert "or one of the names setosa, versicolor, virginica" in told


def test_a_pickle_is_opened_only_with_trust(flowers, run):
    refused = run(*SCORE)
    assert refused.code == 2
    assert "model.joblib is a pickle" in refused.err
    assert refused.err.endswith("add --trust\n")
    assert not Path("audit").exists()


def test_a_skops_file_needs_no_trust(flowers, run):
    skops = pytest.importorskip("skops.io")
    frame = pd.read_csv("iris.csv")[["petal width", "petal length", "species"]]
    model = make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=0))
    skops.dump(model.fit(frame.drop(columns="species"), frame["species"]), "model.skops")
    command = ("score", "model.skops", "iris.csv", "--label", "species", "--out", "audit", *FEW)
    assert run(*command).code == 0
    skops.dump(Foreign(), "model.skops")
    assert "holds types that are not part of scikit-learn" in run(*command[:-1], "--out", "o").err
    Path("model.skops").write_bytes(b"no archive")
    assert "model.skops cannot be read as a model" in run(*command[:-1], "--out", "o").err


class Foreign:
    pass


def test_data_is_looked_at_before_the_model_is_built(flowers, run):
    Path("slow.py").write_text("def build():\n    raise SystemExit('built')\n")
    Path("bad.csv").write_text("a,species\n1\n")
    told = run("score", "slow.py:build", "bad.csv", "--label", "species", "--out", "o").err
    assert "line 2 of bad.csv has 1 cells" in told
    assert (
        "built" in run("score", "slow.py:build", "iris.csv", "--label", "species", "--out", "o").err
    )


def test_already_scored_builds_nothing(project, run):
    Path("model.py").write_text(
        Path("model.py")
        .read_text()
        .replace(
            "def build():\n",
            "def build():\n    with open('count', 'a') as f:\n        f.write('x')\n",
        )
    )
    Path("weights").mkdir()
    command = ("score", "model.py:build", "data.npz", "--out", "audit", *FEW[:-1])
    assert run(*command).code == 0
    assert run(*command).out.startswith("audit is already scored")
    built = Path("count").read_text()
    assert run(*command).out.startswith("audit is already scored")
    assert Path("count").read_text() == built
    assert json.loads(run(*command, "--json").out) == {"out": "audit", "already_scored": True}
    # of another length: Python goes by the size and the second of a file
    Path("model.py").write_text(Path("model.py").read_text().replace("-1.0, 1.0", "-2.0, 2.25"))
    assert "differs in model, weights of the model" in run(*command).err
    assert Path("count").read_text() == built + "x"


@pytest.mark.parametrize("suffix", [".tsv", ".parquet", ".jsonl", ".csv;"])
def test_every_kind_of_table_gives_the_same_scores(flowers, run, suffix):
    assert run(*SCORE, "--trust", *FEW).code == 0
    frame, name = pd.read_csv("iris.csv"), f"data{suffix}".rstrip(";")
    if suffix == ".tsv":
        frame.to_csv(name, sep="\t", index=False)
    elif suffix == ".parquet":
        frame.to_parquet(name)
    elif suffix == ".jsonl":
        frame.to_json(name, orient="records", lines=True)
    else:
        frame.to_csv(name, sep=";", index=False)
    command = ("score", "model.joblib", name, "--label", "species", "--trust", *FEW)
    assert run(*command, "--out", "other").code == 0
    assert Path("other/scores.csv").read_bytes() == Path("audit/scores.csv").read_bytes()
    if suffix == ".csv;":
        told = run(*command, "--separator", ",", "--out", "wrong")
        assert "--label species names no column" in told.err
        assert run(*command, "--separator", ";", "--out", "right").code == 0


def test_json_lines_come_on_standard_input_and_are_kept(flowers):
    lines = pd.read_csv("iris.csv").to_json(orient="records", lines=True)
    command = [sys.executable, "-m", "gexcore", "score", "model.joblib", "-", "--label", "species"]
    command += ["--trust", "--out", "audit", *FEW]
    for _ in range(2):  # the second time it is scored already
        done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    clean = ["clean", "audit", "--relabel=argmax", "--rate", SHARE, "--out", "cleaned.jsonl"]
    subprocess.run([sys.executable, "-m", "gexcore", *clean], check=True, capture_output=True)
    found = pd.read_json("cleaned.jsonl", lines=True)
    assert list(found.columns) == list(iris().columns)
    changed = np.flatnonzero(found["species"] != iris()["species"])
    assert len(set(changed) & set(WRONG)) > len(WRONG) / 2


def test_an_id_is_kept_and_columns_are_chosen(flowers, run):
    frame = pd.read_csv("iris.csv")
    chosen = ["petal width", "petal length"]
    model = make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=0))
    joblib.dump(model.fit(frame[chosen].to_numpy(), frame["species"]), "two.joblib")
    command = ("score", "two.joblib", "iris.csv", "--label", "species", "--id", "plant", *FEW)
    command = (*command, "--trust", "--out", "audit")
    assert run(*command, "--columns", "petal width,petal length").code == 0
    assert [row["id"] for row in rows_of("audit/scores.csv")] == frame["plant"].tolist()


def test_labels_of_integers_stay_as_they_came(flowers, run):
    frame = pd.read_csv("iris.csv")
    codes = frame["species"].map({"setosa": 10, "versicolor": 20, "virginica": -30})
    table = frame[["petal width", "petal length"]].assign(kind=codes)
    table.to_csv("codes.csv", index=False)
    model = MLPClassifier((8,), max_iter=300, learning_rate_init=0.01, random_state=0)
    joblib.dump(model.fit(table[["petal width", "petal length"]], codes), "codes.joblib")
    command = ("score", "codes.joblib", "codes.csv", "--label", "kind", "--trust", "--out", "audit")
    assert run(*command, *FEW).code == 0
    assert [int(row["label"]) for row in rows_of("audit/scores.csv")] == codes.tolist()
    assert run("clean", "audit", "--relabel=argmax", "--rate", SHARE, "--out", "c.csv").code == 0
    assert set(pd.read_csv("c.csv")["kind"]) == {10, 20, -30}


def test_a_class_that_pandas_takes_for_missing(flowers, run):
    frame = pd.read_csv("iris.csv")[["petal width", "petal length", "species"]]
    frame["species"] = frame["species"].replace("setosa", "None")
    frame.to_csv("none.csv", index=False)
    model = MLPClassifier((8,), max_iter=300, learning_rate_init=0.01, random_state=0)
    joblib.dump(model.fit(frame[["petal width", "petal length"]], frame["species"]), "n.joblib")
    assert (
        run(
            "score", "n.joblib", "none.csv", "--label", "species", "--trust", "--out", "a", *FEW
        ).code
        == 0
    )
    assert [row["label"] for row in rows_of("a/scores.csv")] == frame["species"].tolist()


def test_names_for_a_model_of_numbers(project, run, blobs):
    x, y = blobs
    names = np.array(["=left", "right"])[y]
    pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "side": names}).to_csv("named.csv", index=False)
    command = ("score", "model.py:build", "named.csv", "--label", "side", "--out", "audit", *FEW)
    assert run(*command).code == 0
    plain = ("score", "model.py:build", "data.npz", "--out", "plain", *FEW)
    assert run(*plain).code == 0
    named, numbered = rows_of("audit/scores.csv"), rows_of("plain/scores.csv")
    assert [row["suspicion"] for row in named] == [row["suspicion"] for row in numbered]
    # a spreadsheet must not run a name
    assert [row["label"] for row in named] == [
        {"0": "'=left", "1": "right"}[r["label"]] for r in numbered
    ]
    assert run("clean", "audit", "--relabel=argmax", "--rate", "0.025", "--out", "c.csv").code == 0
    found = pd.read_csv("c.csv")["side"]
    assert set(np.flatnonzero(found != names)) == {3, 17, 80}
    assert set(found) == {"=left", "right"}


def test_texts(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    words = {"good": ["fine", "great", "lovely"], "bad": ["awful", "poor", "sad"]}
    mood = np.repeat(["good", "bad"], 40)
    texts = [" ".join(rng.choice(words[m], 4)) + "; a film, they say" for m in mood]
    given = mood.copy()
    given[[5, 50]] = ["bad", "good"]
    pd.DataFrame({"review": texts, "mood": given}).to_csv("reviews.csv", index=False)
    model = make_pipeline(TfidfVectorizer(), SGDClassifier(loss="log_loss", random_state=0))
    joblib.dump(model.fit(texts, given), "model.joblib")
    command = ("score", "model.joblib", "reviews.csv", "--text", "review", "--label", "mood")
    assert run(*command, "--trust", "--out", "audit", *FEW).code == 0
    rows = rows_of("audit/scores.csv")
    assert {r["index"] for r in sorted(rows, key=lambda r: -float(r["suspicion"]))[:2]} == {
        "5",
        "50",
    }
    assert run("report", "audit").code == 0
    assert "a film, they say" in Path("audit/report.html").read_text()


def pictures(root: Path) -> list[str]:
    """Grey squares of two classes with one picture in the wrong folder; their names in order."""
    rng = np.random.default_rng(0)
    for i in range(40):
        side = "dark" if i < 20 else "light"
        level = 40 if side == "dark" else 210
        folder = root / ("light" if i == 4 else side)
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.clip(level + rng.normal(0, 10, (6, 6)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02}.png")
    return sorted(path.relative_to(root).as_posix() for path in root.glob("*/*.png"))


@pytest.mark.parametrize("described", [False, True])
def test_a_folder_of_pictures(tmp_path, run, monkeypatch, described):
    monkeypatch.chdir(tmp_path)
    names = pictures(Path("shades"))
    given = np.array([name.partition("/")[0] for name in names])
    label = ()
    if described:
        pd.DataFrame({"file_name": names, "shade": given}).to_csv(
            "shades/metadata.csv", index=False
        )
        label = ("--label", "shade")
    x = np.stack([np.asarray(Image.open(Path("shades", name))) for name in names]) / 255
    model = MLPClassifier((4,), max_iter=400, learning_rate_init=0.01, random_state=0)
    joblib.dump(model.fit(x.reshape(len(x), -1), given), "model.joblib")
    command = ("score", "model.joblib", "shades", *label, "--trust", "--out", "audit", *FEW)
    assert run(*command).code == 0
    rows = rows_of("audit/scores.csv")
    assert [row["label"] for row in rows] == given.tolist()
    worst = max(rows, key=lambda row: float(row["suspicion"]))
    assert names[int(worst["index"])] == "light/04.png"
    assert run("clean", "audit", "--relabel=argmax", "--rate", "0.03", "--out", "c.csv").code == 0
    found = pd.read_csv("c.csv")
    assert found["file_name"].tolist() == names
    label_column = "shade" if described else "label"
    assert found.loc[int(worst["index"]), label_column] == "dark"
    assert (found[label_column] != given).sum() == 1
    new = ("clean", "audit", "--relabel=argmax", "--rate", "0.03", "--out", "cleaned")
    assert run(*new).code == 0
    kept = sorted(p.relative_to("cleaned").as_posix() for p in Path("cleaned").glob("*/*.png"))
    if described:
        assert kept == names
        assert pd.read_csv("cleaned/metadata.csv").equals(found)
    else:
        assert kept == sorted({*names, "dark/04.png"} - {"light/04.png"})
        assert Path("cleaned/dark/04.png").read_bytes() == Path("shades/light/04.png").read_bytes()
    assert sorted(p.relative_to("shades").as_posix() for p in Path("shades").glob("*/*")) == names
    Image.new("L", (9, 6)).save("shades/dark/wide.png")
    if not described:
        told = run(*command[:-1], "--out", "again").err
        assert "2 different sizes; give the one of the training with --size HxW" in told
        assert run(*command, "--size", "6x6", "--out", "again").code == 0


def test_a_hugging_face_dataset(tmp_path, run, monkeypatch, blobs):
    monkeypatch.chdir(tmp_path)
    x, y = blobs
    features = datasets.Features(
        {
            "point": datasets.Sequence(datasets.Value("float64")),
            "label": datasets.ClassLabel(names=["left", "right"]),
        }
    )
    made = datasets.Dataset.from_dict({"point": x.tolist(), "label": y.tolist()}, features)
    datasets.DatasetDict({"train": made}).save_to_disk("points")
    model = MLPClassifier((8,), max_iter=200, random_state=0)
    joblib.dump(model.fit(x, y), "model.joblib")
    command = ("score", "model.joblib", "points", "--trust", "--out", "audit", *FEW)
    assert run(*command).code == 0
    assert [r["label"] for r in rows_of("audit/scores.csv")] == [["left", "right"][i] for i in y]
    told = run(*command[:-1], "--out", "other", "--label", "nothing").err
    assert "--label nothing names no column of points" in told

    rate = ("clean", "audit", "--relabel=argmax", "--rate", "0.025", "--out")
    assert run(*rate, "cleaned").code == 0
    cleaned = datasets.load_from_disk("cleaned")
    assert cleaned.features["label"].names == ["left", "right"]
    assert cleaned["point"][:] == x.tolist()
    changed = np.flatnonzero(np.array(cleaned["label"]) != y)
    assert set(changed) == {3, 17, 80}
    assert [name for name in cleaned.column_names if name[:4] != "gex_"] == ["point", "label"]
    assert set(np.array(cleaned["gex_suspicion"]).argsort()[-3:]) == {3, 17, 80}
    suggested = np.array(cleaned["gex_suggested_label"])[changed]
    assert suggested.tolist() == (1 - y[changed]).tolist()
    refused = run(*rate, "cleaned")
    assert refused.code == 2
    assert "cleaned exists, and is never overwritten" in refused.err
    assert run(*rate, "cleaned.csv").code == 0  # the numbers of its classes, as the dataset has
    assert set(pd.read_csv("cleaned.csv")["label"]) == {0, 1}
    # what was cleaned can be scored and cleaned again
    again = ("score", "model.joblib", "cleaned", "--columns", "point", "--trust", "--out", "two")
    assert run(*again, *FEW).code == 0
    assert run("clean", "two", "--drop", "--rate", "0.025", "--out", "twice").code == 0
    assert len(datasets.load_from_disk("twice")) == 117


def test_npy_files(project, run, blobs):
    np.save("x.npy", blobs[0])
    np.save("y.npy", blobs[1])
    assert run("score", "model.py:build", "x.npy,y.npy", "--out", "pair", *FEW).code == 0
    assert run("score", "model.py:build", "data.npz", "--out", "one", *FEW).code == 0
    assert Path("pair/scores.csv").read_bytes() == Path("one/scores.csv").read_bytes()


def test_results_as_json(flowers, run):
    told = json.loads(run(*SCORE, "--trust", *FEW[:-1], "--json").out)
    assert (told["method"], told["samples"], told["out"]) == ("GEX", 150, "audit")
    assert all(row["label"] in {"setosa", "versicolor", "virginica"} for row in told["suspects"])
    clean = ("clean", "audit", "--relabel=argmax", "--rate", SHARE, "--out", "c.csv", "--json")
    dry = json.loads(run(*clean, "--dry-run").out)
    assert dry["out"] is None
    given = iris()["species"]
    assert dry["changes"]
    assert all(
        row["given"] == given[row["index"]] and row["new"] != row["given"] for row in dry["changes"]
    )
    assert json.loads(run(*clean).out)["kept"] == 150
    assert json.loads(run("report", "audit", "--json").out) == {
        "samples": 150,
        "out": str(Path("audit", "report.html")),
    }


def test_a_flag_that_does_not_apply_is_refused(project, run):
    for flag, value in (("--text", "a"), ("--size", "2x2"), ("--id", "a"), ("--separator", ";")):
        told = run("score", "model.py:build", "data.npz", "--out", "o", flag, value)
        assert (told.code, told.err) == (
            2,
            f"gexcore: {flag} does not apply to arrays; leave it out\n",
        )


def test_standard_input_without_a_terminal(flowers, run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"no json\n")))
    told = run("score", "model.joblib", "-", "--label", "species", "--trust", "--out", "o")
    assert told.code == 2
    assert "cannot be read as .jsonl" in told.err
