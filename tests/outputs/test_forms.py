"""Suspects and new targets in the forms of other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gexcore
from gexcore.decisions.clean import Cleaned, Predictions, clean
from gexcore.errors import InvalidDataError, OutputExistsError
from gexcore.outputs import (
    argilla_records,
    diff,
    fiftyone_samples,
    issue_frame,
    label_studio_tasks,
    new_targets,
    write_tasks,
)

LABELS = np.array([0, 1, 2, 0, 1, 2])
RELABELLED = Cleaned(np.arange(6), np.array([0, 1, 0, 0, 2, 2]), np.array([2, 4]), "argmax")


def test_the_issue_frame_is_that_of_cleanlab(columns: Any) -> None:
    frame = issue_frame(columns)
    assert list(frame.columns) == [
        "is_label_issue",
        "label_quality",
        "given_label",
        "predicted_label",
    ]
    assert frame.dtypes.map(lambda dtype: dtype.kind).tolist() == ["b", "f", "i", "i"]
    assert frame.index[frame["is_label_issue"]].tolist() == [2, 4]
    assert frame["label_quality"].between(0, 1).all()
    assert frame["label_quality"].sort_values().index[:2].tolist() == [4, 2]
    assert (frame["given_label"] == LABELS).all()
    assert (frame["predicted_label"] == RELABELLED.targets).all()


def test_there_are_no_label_issues_without_classes(unclassed: Any) -> None:
    with pytest.raises(InvalidDataError, match="label issues need given and suggested classes"):
        issue_frame(unclassed)


HOSTILE = ["<script>alert(1)</script>", "</script>", "\u202egnirts", "a\x00b", "=1+1", '"}]']


def test_tasks_for_label_studio_survive_json(tmp_path: Path, columns: Any) -> None:
    samples = [{"text": text} for text in HOSTILE]
    names = ["cat", "dog", "</script>"]
    tasks = label_studio_tasks(columns, samples, [4, 2], to_name="text", class_names=names)
    write_tasks(tmp_path / "tasks.json", tasks)
    first, second = json.loads((tmp_path / "tasks.json").read_text())
    assert first["data"] == {"text": "=1+1", "index": 4, "suspicion": 3.0, "given_label": "dog"}
    assert first["predictions"] == [
        {
            "model_version": f"gexcore {gexcore.__version__}",
            "result": [
                {
                    "from_name": "label",
                    "to_name": "text",
                    "type": "choices",
                    "value": {"choices": ["</script>"]},
                }
            ],
        }
    ]
    assert (second["data"]["text"], second["data"]["given_label"]) == ("\u202egnirts", "</script>")
    with pytest.raises(OutputExistsError):
        write_tasks(tmp_path / "tasks.json", tasks)


def test_tasks_of_a_regression_have_no_labels(unclassed: Any) -> None:
    (task,) = label_studio_tasks(unclassed, [{"text": "a"}] * 6, [2])
    assert task == {"data": {"text": "a", "index": 2, "suspicion": 2.5}}


@pytest.mark.parametrize(
    ("count", "names", "told"),
    [
        (5, None, "there are 5 samples and 6 scores"),
        (6, ["cat", "dog"], "class 2 has no name among 2; give one for"),
    ],
)
def test_tasks_that_do_not_fit(columns: Any, count: int, names: Any, told: str) -> None:
    with pytest.raises(InvalidDataError, match=told):
        label_studio_tasks(columns, [{"text": "a"}] * count, [2], class_names=names)


FIELDS = {"filepath", "tags", "ground_truth", "gex_suggested_label", "gex_suspicion"}


def test_samples_of_fiftyone_have_its_documented_form(columns: Any) -> None:
    """FiftyOne itself needs a database. `Sample.from_dict` makes fields of the keys of a dict."""
    paths = [f"images/{i}.png" for i in range(6)]
    samples = fiftyone_samples(columns, paths, class_names=["cat", "dog", "cow"])
    samples = json.loads(json.dumps(samples, allow_nan=False))
    assert [sample["filepath"] for sample in samples] == paths
    assert [i for i, sample in enumerate(samples) if "gex_suspect" in sample["tags"]] == [2, 4]
    for sample in samples:
        assert sample.keys() == FIELDS
        for name in ("ground_truth", "gex_suggested_label"):
            assert sample[name].keys() == {"_cls", "label"}
            assert sample[name]["_cls"] == "Classification"
    assert samples[2]["ground_truth"]["label"] == "cow"
    assert samples[2]["gex_suggested_label"]["label"] == "cat"
    assert samples[4]["gex_suspicion"] == 3.0


def test_names_of_labels_are_kept_and_a_regression_has_none(columns: Any, unclassed: Any) -> None:
    named = pd.DataFrame({**columns, "label": list("catcat"), "suggested_label": list("catdog")})
    named.index = list("zyxwvu")
    (sample, *_) = fiftyone_samples(named, ["a"] * 6)
    assert sample["ground_truth"]["label"] == "c"
    (record,) = argilla_records(named, [{"text": "a"}] * 6, [4])
    assert record["metadata"]["given_label"] == "a"
    assert record["suggestions"]["label"]["value"] == "o"
    (task,) = label_studio_tasks(named, [{"text": "a"}] * 6, [4])
    assert task["data"]["given_label"] == "a"
    assert fiftyone_samples(unclassed, ["a"] * 6)[2] == {
        "filepath": "a", "tags": ["gex_suspect"], "gex_suspicion": 2.5,
    }  # fmt: skip
    (record,) = argilla_records(unclassed, [{"text": "a"}] * 6, [2])
    assert record["suggestions"] == {}


@pytest.mark.parametrize(("count", "names"), [(5, None), (6, ["cat", "dog"])])
def test_samples_and_records_that_do_not_fit(columns: Any, count: int, names: Any) -> None:
    told = "there are 5 samples and 6 scores" if names is None else "class 2 has no name among 2"
    with pytest.raises(InvalidDataError, match=told):
        fiftyone_samples(columns, ["a"] * count, class_names=names)
    with pytest.raises(InvalidDataError, match=told):
        argilla_records(columns, [{"text": "a"}] * count, [2], class_names=names)


@settings(derandomize=True, database=None, deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), soft=st.booleans(), shown=st.integers(1, 4))
def test_the_diff_counts_every_change(seed: int, soft: bool, shown: int) -> None:
    rng = np.random.default_rng(seed)
    labels, suspects = rng.integers(0, 3, 20), rng.permutation(20)[:6]
    predictions = Predictions(rng.normal(size=(6, 3)), rng.dirichlet(np.ones(3), 6))
    cleaned = clean(labels, suspects, "distill" if soft else "argmax", predictions)
    lines = diff(cleaned, labels, shown=shown).splitlines()
    n = len(cleaned.changed)
    assert lines[0] == f"20 samples: 0 left out, {n} relabelled, {20 - n} as they were"
    told = [line for line in lines if line[2:3].isdigit() and line.split(":")[0].strip().isdigit()]
    assert len(told) == min(n, shown)
    for line in told:
        position, change = line.strip().split(": ")
        given, new = change.replace("mostly ", "").split(" → ")
        assert labels[int(position)] == int(given)
        target = cleaned.targets[int(position)]
        assert (target.argmax() if soft else target) == int(new)
    assert (f"  … and {n - shown} more" in lines) == (n > shown)


def test_the_diff_of_a_pruned_regression_names_positions() -> None:
    cleaned = Cleaned(np.array([0, 2]), np.array([0.5, 1.5]), np.array([1]), "prune")
    assert diff(cleaned, None).splitlines() == [
        "3 samples: 1 left out, 0 relabelled, 2 as they were", "most frequent:", "  left out: 1",
            "by position:", "  1: left out",
    ]  # fmt: skip


def test_new_targets_are_of_the_kind_of_the_given_ones() -> None:
    small = new_targets(LABELS.astype(np.uint8), LABELS, RELABELLED)
    assert (small.dtype, small.tolist()) == (np.uint8, [0, 1, 0, 0, 2, 2])
    tens = new_targets(10 * LABELS + 10, LABELS, RELABELLED)
    assert tens.tolist() == [10, 20, 10, 10, 30, 30]
    one_hot = np.eye(3)[LABELS] * 0.9 + 0.1 / 3
    rows = new_targets(one_hot, LABELS, RELABELLED)
    np.testing.assert_allclose(rows[[0, 1, 3, 5]], one_hot[[0, 1, 3, 5]])
    np.testing.assert_array_equal(rows[[2, 4]], np.eye(3)[[0, 2]])
    soft = Cleaned(np.arange(6), np.full((6, 3), 0.25), np.array([2]), "eq16")
    assert new_targets(LABELS, LABELS, soft).dtype == np.float32
    np.testing.assert_allclose(new_targets(one_hot, LABELS, soft)[2], [0.25] * 3)
    np.testing.assert_allclose(new_targets(one_hot, LABELS, soft)[3], one_hot[3])
    pruned = Cleaned(np.array([1, 5]), LABELS[[1, 5]], np.array([0, 2, 3, 4]), "prune")
    assert new_targets(np.array(list("abcabc")), None, pruned).tolist() == ["b", "c"]


def test_new_targets_that_have_no_name() -> None:
    with pytest.raises(
        InvalidDataError, match="one class of the scores has several names in the data"
    ):
        new_targets(np.array(list("abcabd")), LABELS, RELABELLED)
    unheard = Cleaned(np.arange(6), np.array([3, 1, 2, 0, 1, 2]), np.array([0]), "argmax")
    with pytest.raises(
        InvalidDataError, match="class 3 is suggested, and no sample of the data tells its name"
    ):
        new_targets(np.array(list("abcabc")), LABELS, unheard)
    assert new_targets(LABELS, LABELS, unheard)[0] == 3
