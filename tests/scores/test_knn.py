"""Deep k-NN against sorting all distances, in blocks of any size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gexcore.decisions.metrics import auc
from gexcore.scores import DeepKNN
from gexcore.scores.neighbours import label_shares
from gexcore_numpy import MLP


def shares_by_sorting(x: Any, labels: Any, k: int, *, cosine: bool, include_self: bool) -> Any:
    shares = np.zeros((len(x), labels.max() + 1))
    for n in range(len(x)):
        if cosine:
            distances = [1 - x[n] @ z / (np.linalg.norm(x[n]) * np.linalg.norm(z)) for z in x]
        else:
            distances = [np.linalg.norm(x[n] - z) for z in x]
        order = [i for i in np.argsort(distances, kind="stable") if i != n]
        chosen = [n, *order[: k - 1]] if include_self else order[:k]
        for i in chosen:
            shares[n, labels[i]] += 1 / k
    return shares


@settings(deadline=None)
@given(st.integers(0, 999), st.booleans(), st.booleans(), st.data())
def test_shares_are_those_of_the_nearest_in_blocks_of_any_size(
    seed: int, cosine: bool, include_self: bool, data: Any
) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 30))
    x, labels = rng.normal(size=(n, 4)), rng.integers(0, 3, n)
    k = data.draw(st.integers(1, n if include_self else n - 1))
    settings: dict[str, Any] = {
        "metric": "cosine" if cosine else "euclidean",
        "include_self": include_self,
    }
    whole = label_shares(x, labels, k, **settings)
    expected = shares_by_sorting(x, labels, k, cosine=cosine, include_self=include_self)
    np.testing.assert_allclose(whole, expected, atol=1e-12)
    blocks = label_shares(x, labels, k, block=data.draw(st.integers(1, n)), **settings)
    np.testing.assert_array_equal(blocks, whole)
    np.testing.assert_allclose(whole.sum(axis=1), 1)


def by_distances(x: Any, labels: Any, k: int, *, include_self: bool) -> Any:
    shares = np.zeros((len(x), labels.max() + 1))
    for n, point in enumerate(x):
        distances = ((x - point) ** 2).sum(axis=1)
        distances[n] = -1.0 if include_self else np.inf
        np.add.at(shares[n], labels[np.argsort(distances, kind="stable")[:k]], 1 / k)
    return shares


@settings(deadline=None, max_examples=400)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["grid", "copies", "normal"]),
    st.sampled_from([0.0, 1.0, 1e3, 1e6, 1e8]),
    st.booleans(),
    st.data(),
)
def test_ties_and_offsets_change_no_neighbour(
    seed: int, kind: str, offset: float, include_self: bool, data: Any
) -> None:
    """Points on a grid, several copies of points, and points far from the origin."""
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(5, 60)), int(rng.integers(1, 6))
    x = rng.integers(0, 3, (n, d)).astype(float) if kind == "grid" else rng.normal(size=(n, d))
    if kind == "copies":
        x = x[rng.integers(0, n // 2, n)]
    x += offset * rng.normal(size=d)
    labels = rng.integers(0, 3, n)
    k = data.draw(st.integers(1, n if include_self else n - 1))
    found = label_shares(x, labels, k, include_self=include_self)
    expected = by_distances(x, labels, k, include_self=include_self)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@given(st.integers(0, 99), st.floats(0.1, 10))
def test_directions_ignore_lengths(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    x, labels = rng.normal(size=(12, 3)), rng.integers(0, 2, 12)
    lengths = rng.uniform(0.5, scale + 0.5, (12, 1))
    found = [label_shares(z, labels, 4, metric="cosine") for z in (x, x * lengths)]
    np.testing.assert_array_equal(*found)


def test_a_point_without_direction_is_at_right_angles_to_all() -> None:
    x = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 1.0], [-1.0, 0.0]])
    shares = label_shares(x, np.arange(4), 1, metric="cosine")
    assert shares[1:].argmax(axis=1).tolist() == [2, 1, 0]


def forward(model: MLP, x: Any) -> tuple[Any, Any]:
    hidden = np.maximum(x @ model.weights[0] + model.biases[0], 0)
    return hidden, hidden @ model.weights[1] + model.biases[1]


# not cosines of these features: where one unit alone is active, many samples have the same
# direction
@pytest.mark.parametrize(
    ("features", "metric"),
    [("logits", "euclidean"), ("logits", "cosine"), ("features", "euclidean")],
)
def test_the_score_is_the_share_of_neighbours_with_another_label(
    history: Any, features: Any, metric: Any
) -> None:
    hidden, logits = forward(history.model, history.x)
    points = logits if features == "logits" else hidden
    shares = shares_by_sorting(points, history.y, 12, cosine=metric == "cosine", include_self=False)
    scores = DeepKNN(k=12, features=features, metric=metric).fit(
        history.model, history.data, progress=False
    )
    np.testing.assert_allclose(scores.values, 1 - shares[np.arange(240), history.y], atol=1e-12)
    assert auc(scores.suspicion(), history.wrong) > 0.9


def test_the_public_code_counts_the_sample_itself_and_squares_over_checkpoints(
    history: Any,
) -> None:
    public = DeepKNN.public_code(checkpoints=history.checkpoints)
    scores = public.fit(history.model, history.data, progress=False)
    expected = np.zeros(240)
    for checkpoint in history.checkpoints:
        _, logits = forward(checkpoint, history.x)
        shares = shares_by_sorting(logits, history.y, 80, cosine=False, include_self=True)
        expected += ((shares - np.eye(3)[history.y]) ** 2).sum(axis=1) / 3
    np.testing.assert_allclose(scores.values, expected, atol=1e-12)
    assert ((scores.values >= 0) & (scores.values <= 2)).all()


def test_ties_go_by_loss(history: Any) -> None:
    scores = DeepKNN(k=1).fit(history.model, history.data, progress=False)
    assert set(scores.values) == {0.0, 1.0}
    ranking = scores.ranking()
    assert scores.tie_break is not None
    for value in (0.0, 1.0):
        losses = scores.tie_break[ranking[scores.values[ranking] == value]]
        assert (np.diff(losses) <= 0).all()


@pytest.mark.parametrize(("k", "settled"), [("auto", 8), ("class_size", 80), (5, 5)])
def test_the_number_of_neighbours(history: Any, k: Any, settled: int) -> None:
    found = [
        DeepKNN(k=number).fit(history.model, history.data, progress=False).values
        for number in (k, settled)
    ]
    np.testing.assert_array_equal(*found)
