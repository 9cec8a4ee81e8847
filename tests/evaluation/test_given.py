"""Data as users have them: tables, names as labels, lists of samples and of batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import gexcore as gx
from gexcore.errors import InvalidDataError
from gexcore.evaluation.given import Given, understood
from gexcore.evaluation.opening import opened
from gexcore_numpy import MLP

RNG = np.random.default_rng(0)
N = 60
Y = np.arange(N) % 3
X = RNG.normal(size=(N, 3)) + 3 * np.eye(3)[Y]
MODEL = MLP([np.eye(3) * 2], [np.zeros(3)])
NAMES = np.array(["ant", "bee", "cat"], dtype=object)[Y]
TABLE = pd.DataFrame(X, columns=list("abc"), index=[f"row {i}" for i in range(N)])


def losses(data: Any, **more: Any) -> Any:
    return gx.Loss().fit(MODEL, data, progress=False, **more)


PLAIN = losses((X, Y)).values
CATEGORIES = pd.Categorical(NAMES, categories=["ant", "bee", "cat"])


@pytest.mark.parametrize(
    ("data", "more"),
    [
        (X, {"y": Y}),
        (X, {"y": Y.tolist()}),
        (X, {"y": pd.Series(Y)}),
        (X, {"y": NAMES}),
        (X, {"y": NAMES.tolist()}),
        (X, {"y": NAMES.astype(str)}),
        (X, {"y": pd.Series(CATEGORIES)}),
        (TABLE, {"y": Y}),
        (TABLE, {"y": Y[:, None].astype(np.uint8)}),
        (TABLE.assign(kind=NAMES), {"label": "kind"}),
        (TABLE.assign(kind=Y), {"label": "kind"}),
        ((TABLE, NAMES), {}),
        (list(zip(X, Y, strict=True)), {}),
        ([(X[i : i + 16], Y[i : i + 16]) for i in range(0, N, 16)], {}),
    ],
)
def test_every_form_of_the_same_data_has_the_same_scores(data: Any, more: Any) -> None:
    np.testing.assert_allclose(losses(data, **more).values, PLAIN, rtol=1e-12)


def test_a_frame_has_the_index_and_the_labels_of_the_user() -> None:
    frame = losses(TABLE.assign(kind=NAMES), label="kind").to_frame()
    assert frame.index.tolist() == TABLE.index.tolist()
    assert frame["label"].tolist() == NAMES.tolist()
    plain = losses((X, Y)).to_frame()
    assert plain.index.tolist() == list(range(N))
    assert plain["label"].tolist() == Y.tolist()


def test_results_of_gex_name_the_labels_they_suggest() -> None:
    wrong = NAMES.copy()
    wrong[4] = "ant"  # it is a bee
    influence = gx.GEX(snapshots=4).fit(
        MODEL, TABLE.assign(kind=wrong), label="kind", progress=False
    )
    row = influence.to_frame().loc["row 4"]
    assert (row["label"], row["suggested_label"]) == ("ant", "bee")
    assert influence.labels is not None
    assert influence.labels[4] == 0
    assert "names" not in influence.record()


def test_labels_of_any_hashable_type_come_back_as_themselves() -> None:
    kinds = [("a", 1), None, 2.5]
    with pytest.raises(InvalidDataError, match="20 labels are missing, first at position 1"):
        understood(Given(X, pd.Series([kinds[k] for k in Y])))
    mixed = np.empty(N, dtype=object)
    mixed[:] = [[("a", 1), "b", 2.5][k] for k in Y]
    (_, codes), names = understood(Given(X, mixed))
    assert [names.classes[code] for code in codes] == mixed.tolist()


def test_test_data_share_the_numbers_of_the_training_labels() -> None:
    table = TABLE.assign(kind=NAMES)
    some = table[table["kind"] != "ant"]
    given = opened(MODEL, Given(table, label="kind"), test=some)
    assert given.test is not None
    found = given.test.batch(np.arange(len(some)))[1]
    np.testing.assert_array_equal(found, Y[Y != 0])
    with pytest.raises(InvalidDataError, match="the label 'dog' is not among the labels"):
        opened(MODEL, Given(table, label="kind"), test=some.assign(kind="dog"))


@pytest.mark.parametrize(
    ("data", "more", "told"),
    [
        (TABLE, {}, r"give label='column', with one of a, b, c"),
        (TABLE, {"label": "kind"}, "the data has no column 'kind'; allowed are a, b, c"),
        (X, {"label": "kind"}, r"label= names a column of a data frame .* give fit\(model, x, y\)"),
        (TABLE, {"label": "a", "y": Y}, "give the labels once"),
        (TABLE.assign(d="red"), {"y": Y}, "column 'd' of the data is of type .* encode it"),
        (X, {"y": np.where(Y == 1, None, NAMES)}, "20 labels are missing, first at position 1"),
        (X, {"y": np.where(Y == 2, "ant", NAMES)}, "have 2 names and the model 3 classes"),
        (pd.DataFrame(X, columns=list("aab")), {"y": Y}, "the data has several columns 'a'"),
        (X, {"y": pd.Series(Y, dtype="Int64").mask(Y == 1)}, "20 labels are missing, first at"),
        ([(X[0, :2], 0), (X[1], 1), (X[2], 2)], {}, "column 0 of the data has samples of unequal"),
    ],
)
def test_what_cannot_be_understood_is_refused(data: Any, more: Any, told: str) -> None:
    with pytest.raises(InvalidDataError, match=told):
        losses(data, **more)


def test_inputs_by_name_and_a_label_by_name() -> None:
    (columns, names) = understood(Given({"ids": X}, NAMES))
    assert list(columns) == ["ids", "labels"]
    assert names.classes == ("ant", "bee", "cat")
    columns, _ = understood(Given({"ids": X, "kind": Y}, label="kind"))
    np.testing.assert_array_equal(columns["labels"], Y)
    batches = [{"ids": X[i : i + 7], "labels": Y[i : i + 7]} for i in range(0, N, 7)]
    columns, _ = understood(batches)
    np.testing.assert_array_equal(columns["labels"], Y)
    rows, _ = understood([{"ids": x, "labels": y} for x, y in zip(X, Y, strict=True)])
    np.testing.assert_array_equal(rows["ids"], X)


TAIL = slice(3, 9)
ELSEWHERE = pd.Categorical(NAMES[TAIL], categories=["cat", "bee", "ant"])


def at_theta(data: Any, test: Any) -> Any:
    """Losses at θ* on test data."""
    found = opened(MODEL, data, test=test)
    return gx.Loss().fit(MODEL, found.test, progress=False).values


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (NAMES, ELSEWHERE),
        (NAMES, pd.Series(ELSEWHERE)),
        (CATEGORIES, ELSEWHERE),
        (Y, pd.Series(pd.Categorical(Y[TAIL], categories=[2, 1, 0]))),
        (pd.Categorical(Y, categories=[2, 1, 0]), Y[TAIL]),
        (pd.Categorical(Y + 1), Y[TAIL] + 1),
        (pd.Categorical(Y + 1), pd.Series(pd.Categorical(Y[TAIL] + 1, categories=[3, 2, 1]))),
    ],
)
def test_the_labels_of_test_data_have_the_numbers_of_the_training_data(
    train: Any, test: Any
) -> None:
    np.testing.assert_allclose(at_theta((X, train), (X[TAIL], test)), PLAIN[TAIL], rtol=1e-12)


def test_a_test_table_has_its_columns_in_any_order() -> None:
    shuffled = TABLE[TAIL][["c", "a", "b"]]
    np.testing.assert_allclose(at_theta((TABLE, Y), (shuffled, Y[TAIL])), PLAIN[TAIL], rtol=1e-12)
    with pytest.raises(InvalidDataError, match="the table has the columns"):
        opened(MODEL, (TABLE, Y), test=(TABLE.rename(columns={"a": "z"}), Y))


def test_names_of_test_data_are_refused_where_the_training_data_has_numbers() -> None:
    with pytest.raises(InvalidDataError, match="not among the labels of the training data"):
        opened(MODEL, (X, Y), test=(X[TAIL], NAMES[TAIL]))


def test_labels_that_are_true_or_false_are_the_classes_one_and_zero() -> None:
    model = MLP([np.eye(3)[:, :2] * 2], [np.zeros(2)])
    wanted = gx.Loss().fit(model, X, Y % 2, progress=False).values
    for labels in (Y % 2 == 1, (Y % 2 == 1).tolist(), pd.Series(Y % 2 == 1)):
        found = gx.Loss().fit(model, X, labels, progress=False)
        np.testing.assert_array_equal(found.values, wanted)
    every = gx.Loss().fit(model, X, np.ones(N, bool), progress=False)
    np.testing.assert_array_equal(every.labels, np.ones(N))


def test_numbers_in_a_column_of_objects_stay_numbers() -> None:
    line, y = MLP([np.ones((3, 1))], [np.zeros(1)]), X[:, 0] * 2.5
    plain, boxed, named = (
        opened(line, (X, targets), loss="squared_error")
        for targets in (y, y.astype(object), y.astype(str))
    )
    np.testing.assert_array_equal(plain.seen.losses, boxed.seen.losses)
    with pytest.raises(InvalidDataError, match="squared_error takes numbers"):
        _ = named.seen


def test_a_missing_label_of_pandas_is_told() -> None:
    y = pd.Series([None, *NAMES[1:]], dtype="string")
    with pytest.raises(InvalidDataError, match="1 labels are missing, first at position 0"):
        understood((X, y))


@pytest.mark.parametrize(
    "method",
    [
        gx.GEX(chains=2, snapshots=2, lr=0.05),
        gx.GEX.for_influence(budget=60),
        gx.GEXLin(chains=2, snapshots=2, lr=0.05),
        gx.LiSSA(),
        gx.RandProj(),
        gx.TracIn(checkpoints=[MODEL]),
    ],
    ids=lambda method: type(method).__name__,
)
def test_influence_after_the_fit_takes_test_data_as_the_fit_does(method: Any) -> None:
    test = TABLE[TAIL][["c", "a", "b"]], ELSEWHERE
    found = method.fit(MODEL, TABLE.assign(kind=NAMES), label="kind", progress=False)
    plain = found.influence((X[TAIL], Y[TAIL]))
    np.testing.assert_array_equal(found.influence(test), plain)
    labelled = test[0].assign(kind=NAMES[TAIL])
    np.testing.assert_array_equal(found.influence(labelled), plain)
    with pytest.raises(InvalidDataError, match="the table has the columns"):
        found.influence((test[0][["a"]], ELSEWHERE))
