"""Columns of a Hugging Face dataset."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gexcore.decisions.clean import Cleaned
from gexcore.errors import InvalidDataError, OutputExistsError
from gexcore.outputs import with_scores, with_targets

datasets = pytest.importorskip("datasets", reason="these tests are about Hugging Face datasets")


@pytest.fixture
def dataset() -> Any:
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["cat", "dog", "cow"]),
        }
    )
    return datasets.Dataset.from_dict(
        {"text": list("abcdef"), "label": [0, 1, 2, 0, 1, 2]}, features=features
    )


def test_scores_are_columns_of_a_new_dataset(dataset: Any, columns: Any) -> None:
    found = with_scores(dataset, columns)
    assert found["gex_suspicion"][:] == columns["suspicion"].tolist()
    assert found["gex_suspect"][:] == columns["suspect"].tolist()
    assert found["gex_suggested_label"][:] == columns["suggested_label"].tolist()
    assert dataset.column_names == ["text", "label"]
    with pytest.raises(
        OutputExistsError, match="a column gex_suspicion already; choose another prefix"
    ):
        with_scores(found, columns)
    assert "two_suspect" in with_scores(found, columns, prefix="two_").column_names


def test_a_regression_has_no_suggestions(dataset: Any, unclassed: Any) -> None:
    assert "gex_suggested_label" not in with_scores(dataset, unclassed).column_names


def test_new_classes_keep_their_names(dataset: Any) -> None:
    found = with_targets(
        dataset, Cleaned(np.array([0, 2, 5]), np.array([0, 1, 2]), np.array([1, 2, 3, 4]), "argmax")
    )
    assert found["text"][:] == ["a", "c", "f"]
    assert found["label"][:] == [0, 1, 2]
    assert found.features["label"].names == ["cat", "dog", "cow"]
    assert dataset["label"][:] == [0, 1, 2, 0, 1, 2]


def test_soft_targets_are_lists(dataset: Any) -> None:
    targets = np.full((6, 3), 0.25)
    found = with_targets(dataset, Cleaned(np.arange(6), targets, np.arange(6), "eq16"))
    assert found["label"][:] == targets.tolist()


def test_datasets_that_do_not_fit(dataset: Any, columns: Any) -> None:
    with pytest.raises(
        InvalidDataError, match="the dataset has 3 rows and the scores 6; give the data that was"
    ):
        with_scores(dataset.select(range(3)), columns)
    cleaned = Cleaned(np.array([0, 5]), np.array([0, 1]), np.array([5]), "argmax")
    with pytest.raises(InvalidDataError, match="the dataset has 3 rows and position 5 is kept"):
        with_targets(dataset.select(range(3)), cleaned)
    with pytest.raises(InvalidDataError, match="no column labels; give one of text, label"):
        with_targets(dataset, cleaned, column="labels")
