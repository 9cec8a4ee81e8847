"""What users of the command line pass."""

from __future__ import annotations

import contextlib
import io
import tempfile
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gexcore.cli import main
from gexcore.errors import GexError
from tests.situations.registry import Situations, blobs

SITUATIONS = Situations("Shell")
works, refused = SITUATIONS.works, SITUATIONS.refused

X, Y = blobs()
NAMES = np.array(["ant", "bee", "cat"])[Y]
TABLE = pd.DataFrame(X, columns=list("abcd")).assign(species=NAMES)
QUICK = ("--chains", "1", "--snapshots", "2", "--lr", "0.001", "--quiet", "--out", "audit")


def score(*arguments: str, write: Any = None) -> pd.DataFrame:
    """`gexcore score` in a folder with a model and a table; the scores that it wrote.

    Raises
    ------
    GexError
        With the sentence of the command, where it fails.
    """
    model = make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=400, random_state=0))
    model.fit(TABLE[list("abcd")], NAMES)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        joblib.dump(model, "model.joblib")
        TABLE.to_csv("table.csv", index=False)
        if write is not None:
            write()
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = main(["score", *arguments, *QUICK])
        if code:
            raise GexError(said.getvalue().strip())
        return pd.read_csv("audit/scores.csv")


def check(found: pd.DataFrame) -> None:
    assert len(found) == len(Y)
    assert sorted(set(map(str, found["label"]))) == ["ant", "bee", "cat"]


@works("`gexcore score model.joblib table.csv --label species --trust`")
def csv() -> None:
    check(score("model.joblib", "table.csv", "--label", "species", "--trust"))


@works("a Parquet table")
def parquet() -> None:
    write = lambda: TABLE.to_parquet("table.parquet")  # noqa: E731
    check(score("model.joblib", "table.parquet", "--label", "species", "--trust", write=write))


@works("JSON lines")
def json_lines() -> None:
    write = lambda: TABLE.to_json("table.jsonl", orient="records", lines=True)  # noqa: E731
    check(score("model.joblib", "table.jsonl", "--label", "species", "--trust", write=write))


@works("a CSV with its columns in another order than in the fit")
def order() -> None:
    columns = ["species", "d", "c", "b", "a"]
    write = lambda: TABLE[columns].to_csv("other.csv", index=False)  # noqa: E731
    check(score("model.joblib", "other.csv", "--label", "species", "--trust", write=write))


@refused("a pickled model without `--trust`", "--trust")
def untrusted() -> None:
    score("model.joblib", "table.csv", "--label", "species")


@refused("a table without `--label`", "--label")
def no_label() -> None:
    score("model.joblib", "table.csv", "--trust")


@refused("a label that is no column", "species")
def other_label() -> None:
    score("model.joblib", "table.csv", "--label", "kind", "--trust")


@refused("a model's file that does not exist", "does not exist")
def no_model() -> None:
    score("absent.joblib", "table.csv", "--label", "species", "--trust")


@refused("a table without a column of the fit", "give the columns of the training")
def missing_column() -> None:
    write = lambda: TABLE.drop(columns="a").to_csv("other.csv", index=False)  # noqa: E731
    score("model.joblib", "other.csv", "--label", "species", "--trust", write=write)


@refused("a label that the model does not know", "dog")
def unknown_label() -> None:
    write = lambda: TABLE.replace("ant", "dog").to_csv("other.csv", index=False)  # noqa: E731
    score("model.joblib", "other.csv", "--label", "species", "--trust", write=write)
