"""New targets: the invariants of Eq. 16 on every array library at hand, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import array_api_strict
import numpy as np
import pytest

from gexcore.decisions import relabel
from gexcore.errors import InvalidDataError
from gexcore.testing.decision_laws import check_relabel_laws


@pytest.fixture(params=["numpy", "strict", "strictest"])
def xp(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "numpy":
        yield np
    elif request.param == "strict":
        yield array_api_strict
    else:
        with array_api_strict.ArrayAPIStrictFlags(
            boolean_indexing=False, data_dependent_shapes=False
        ):
            yield array_api_strict


def test_laws(xp: Any) -> None:
    check_relabel_laws(xp)


exact = relabel.relabel_eq16


def public_code(logits: Any, labels: Any, *, renormalize: bool = False) -> Any:
    """The authors' formula, with its constants inside the logarithms."""
    if renormalize:
        return exact(logits, labels, renormalize=True)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    given = np.arange(p.shape[1]) == labels[:, None]
    other = (1 - p[given]) ** (1 / (p.shape[1] - 1))
    targets = np.log(other + 1e-12)[:, None] / (np.log(p + 1e-12) + 1e-12)
    targets[given] = 0
    return targets


def test_the_laws_notice_the_formula_of_the_public_code(monkeypatch: pytest.MonkeyPatch) -> None:
    memorised = np.array([[90.0, *[0.0] * 9]], np.float32)
    assert public_code(memorised, np.array([0])).sum() > 8.9
    assert relabel.relabel_eq16(memorised, np.array([0])).sum() <= 1
    monkeypatch.setattr(relabel, "relabel_eq16", public_code)
    with pytest.raises((AssertionError, ExceptionGroup)):
        check_relabel_laws(np)


@pytest.mark.parametrize("gap", [20.0, 200.0, 1e4, 1e30])
def test_a_memorised_label_loses_all_and_the_others_share(gap: float) -> None:
    logits = np.array([[gap, 1.0, 0.0, -1.0]], np.float32)
    assert (
        np.exp(logits - np.logaddexp.reduce(logits, axis=1)[:, None])[0, 0] == 1
    )  # φ_m = 1 in float32
    row = relabel.relabel_eq16(logits, np.array([0]))[0]
    assert row[0] == 0
    assert (row[1:] > 0.27).all()
    assert (row[1:] <= 1 / 3).all()
    assert row[1] >= row[2] >= row[3]


def test_a_sample_that_the_model_puts_elsewhere_counts_little_unless_renormalized() -> None:
    logits, labels = np.array([[0.0, 30.0, 0.0, 0.0]]), np.array([0])
    row = relabel.relabel_eq16(logits, labels)[0]
    assert row[1] == pytest.approx(
        1 / 9, rel=1e-3
    )  # all of −log(1 − φ_m) and −log φ_1 is the other two's
    assert row[2:].max() < 1e-12
    assert relabel.relabel_eq16(logits, labels, renormalize=True)[0, 1] == pytest.approx(1)


@pytest.mark.parametrize(
    "function", [relabel.relabel_eq16, relabel.relabel_complementary, relabel.complementary_loss]
)
@pytest.mark.parametrize(
    ("logits", "labels", "told"),
    [
        (
            np.zeros((2, 3)),
            np.array([0, 3]),
            "label 3 is outside 0 … 2, the 3 classes there are; renumber",
        ),
        (np.zeros((2, 3)), np.array([-1, 0]), "label -1 is outside 0 … 2"),
        (
            np.zeros((2, 3)),
            np.array([0.0, 1.0]),
            r"labels are of shape \(2,\) and type float64; give one integer",
        ),
        (np.zeros((2, 3)), np.array([0]), "there are 1 labels for 2 rows of logits"),
        (
            np.zeros((2, 1)),
            np.array([0, 0]),
            r"the logits have shape \(2, 1\); give one row of two classes or more",
        ),
        (np.zeros(3), np.array([0, 0, 0]), r"the logits have shape \(3,\)"),
        (
            np.array([[0.0, np.nan]]),
            np.array([0]),
            "some logits are not finite; give scores before the softmax",
        ),
        (np.array([[0.0, -np.inf]]), np.array([0]), "some logits are not finite"),
    ],
)
def test_logits_and_labels_that_do_not_fit(
    function: Any, logits: Any, labels: Any, told: str
) -> None:
    with pytest.raises(InvalidDataError, match=told):
        function(logits, labels)


@pytest.mark.parametrize("function", [relabel.relabel_argmax, relabel.relabel_distill])
@pytest.mark.parametrize(
    ("probabilities", "told"),
    [
        (
            np.array([[0.5, 0.5], [0.9, 0.2]]),
            "the probabilities of sample 1 sum to 1.1, and each row must sum to 1",
        ),
        (np.array([[3.0, 4.0]]), "the probabilities of sample 0 sum to 7"),
        (np.array([[1.5, -0.5]]), "negative or NaN"),
        (np.array([[np.nan, 1.0]]), "negative or NaN"),
        (np.array([[1.0]]), r"the probabilities have shape \(1, 1\)"),
    ],
)
def test_probabilities_that_are_none(function: Any, probabilities: Any, told: str) -> None:
    with pytest.raises(InvalidDataError, match=told):
        function(probabilities)


def test_no_samples_are_no_error() -> None:
    none, labels = np.empty((0, 3)), np.empty(0, int)
    assert relabel.relabel_distill(none).shape == (0, 3)
    assert relabel.relabel_argmax(none).shape == (0,)
    assert relabel.complementary_loss(none, labels).shape == (0,)
    for function in (relabel.relabel_eq16, relabel.relabel_complementary):
        assert function(none, labels).shape == (0, 3)
