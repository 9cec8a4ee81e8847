"""Losses by name and the user's own: values, and one sentence for what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gexcore as gx
from gexcore.backend.capabilities import supports
from gexcore.backend.protocols import SupportsPartLosses
from gexcore.errors import InvalidDataError, InvalidModelError
from gexcore.evaluation.opening import opened
from gexcore_jax.backend import JaxBackend
from gexcore_jax.losses import LOSSES, loss_of

# this process alone: the package never touches JAX's configuration
jax.config.update("jax_enable_x64", True)


cross_entropy, squared_error, binary_cross_entropy = (
    jax.jit(loss.value) for loss in LOSSES.values()
)


def normal(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=shape)


def zeros(*shape: int) -> Any:
    return np.zeros(shape, np.int64)


@pytest.mark.parametrize(("b", "k"), [(1, 2), (5, 4)])
def test_cross_entropy_of_labels_is_that_of_one_hot_rows(b: int, k: int) -> None:
    scores, labels = normal(b, k), np.random.default_rng(1).integers(0, k, b)
    expected = np.log(np.exp(scores).sum(1)) - scores[np.arange(b), labels]
    np.testing.assert_allclose(cross_entropy(scores, labels), expected, rtol=1e-12)
    np.testing.assert_allclose(cross_entropy(scores, np.eye(k)[labels]), expected, rtol=1e-12)


def test_cross_entropy_of_confident_scores_is_finite() -> None:
    scores = np.array([[30.0, 0.0], [-500.0, 500.0]], np.float32)
    np.testing.assert_allclose(cross_entropy(scores, zeros(2)), [np.exp(-30.0), 1000.0], atol=1e-12)
    assert np.isfinite(jax.jit(jax.grad(lambda s: cross_entropy(s, zeros(2)).sum()))(scores)).all()


def test_cross_entropy_of_tokens_is_a_mean_over_those_that_count() -> None:
    scores, labels = normal(2, 4, 3), np.array([[0, 1, -100, 2], [-100, -100, 1, -100]])
    each = (
        np.log(np.exp(scores).sum(2))
        - np.take_along_axis(scores, np.maximum(labels, 0)[..., None], 2)[..., 0]
    )
    expected = [each[0, [0, 1, 3]].mean(), each[1, 2]]
    np.testing.assert_allclose(cross_entropy(scores, labels), expected, rtol=1e-12)
    assert cross_entropy(scores, np.full((2, 4), -100)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_a_single_output_meets_targets_of_either_shape(shape: tuple[int, ...]) -> None:
    output, target = normal(4, 1), np.array([0, 1, 1, 0]).reshape(shape)
    squares = (output[:, 0] - target.reshape(-1)) ** 2
    np.testing.assert_allclose(squared_error(output, target), squares)
    np.testing.assert_allclose(squared_error(output[:, 0], target), squares)
    expected = np.log1p(np.exp(output[:, 0] * (1 - 2 * target.reshape(-1))))
    np.testing.assert_allclose(binary_cross_entropy(output, target.astype(bool)), expected)


def test_several_outputs_are_summed() -> None:
    output, target = normal(4, 2, 3), np.ones((4, 2, 3))
    np.testing.assert_allclose(squared_error(output, target), ((output - 1) ** 2).sum((1, 2)))
    np.testing.assert_allclose(
        binary_cross_entropy(output, target), np.log1p(np.exp(-output)).sum((1, 2))
    )
    extreme = binary_cross_entropy(np.array([-200.0, 200.0]), np.array([1, 1]))
    np.testing.assert_allclose(extreme, [200.0, 0.0], atol=1e-80)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_scores_give_full_precision_losses(dtype: Any) -> None:
    assert cross_entropy(normal(3, 4).astype(dtype), zeros(3)).dtype == jnp.float32
    own = jax.jit(loss_of(lambda f, y: f.sum(1)).value)
    assert own(normal(3, 4).astype(dtype), zeros(3)).dtype == jnp.float32


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (InvalidDataError, lambda: cross_entropy(normal(2, 3), np.zeros(2)),
            r"float64 targets of shape \(2,\) for scores"),
        (InvalidDataError, lambda: cross_entropy(normal(2, 3), zeros(3)),
            r"labels of shape \(3,\)"),
        (InvalidDataError, lambda: cross_entropy(normal(2, 3), zeros(2, 2)),
            r"labels of shape \(2, 2\) for"),
        (InvalidDataError, lambda: cross_entropy(normal(2, 3), None),
            "targets are of type NoneType"),
        (InvalidModelError, lambda: cross_entropy(normal(2, 1), zeros(2)),
            "loss='binary_cross_entropy'"),
        (InvalidModelError, lambda: cross_entropy(normal(2), zeros(2)), "needs scores of shape"),
        (InvalidModelError, lambda: cross_entropy((1, 2), zeros(2)),
            "the model returned tuple, and cross_"),
        (InvalidDataError, lambda: squared_error(normal(4, 2), normal(4)),
            "give one target per output"),
        (InvalidDataError, lambda: squared_error(normal(4, 2, 3), normal(4, 3, 2)),
            "give one target per output"),
        (InvalidDataError, lambda: squared_error(normal(4), np.array(1.0)),
            "give one target per output"),
        (InvalidModelError, lambda: loss_of("mae"),
            "no loss named 'mae'; allowed are cross_entropy"),
        (InvalidModelError, lambda: loss_of(lambda f, y: f.mean()).value(normal(2, 3), zeros(2)),
         r"the loss returned one number for 2 samples; it must return shape \(2,\): "
         "leave the mean out"),
        (InvalidModelError, lambda: loss_of(lambda f, y: f).value(normal(2, 3), zeros(2)),
            r"shape \(2, 3\) for 2 samples"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(
    error: type[Exception], call: Callable[[], object], message: str
) -> None:
    with pytest.raises(error, match=message):
        call()


def test_targets_on_the_host_are_checked_and_others_give_nan() -> None:
    backend = JaxBackend((lambda params, x: x @ params, np.ones((2, 3))))
    state, x = backend.initial_state(), np.ones((4, 2))
    for labels, first in (([0, 1, 3, -1], 3), ([-1, 0, 0, 0], -1)):
        with pytest.raises(
            InvalidDataError, match=f"label {first} is outside 0 … 2, the 3 classes of the model"
        ):
            backend.forward(state, (x, np.array(labels)))
        losses = backend.forward(state, (x, jnp.array(labels)))
        np.testing.assert_array_equal(np.isnan(losses), [label not in range(3) for label in labels])
    assert backend.forward(state, (x, np.array([0, 1, 2, -100])))[3] == 0.0


def test_binary_targets_are_checked() -> None:
    backend = JaxBackend(
        (lambda params, x: x @ params, np.ones((2, 1))), loss="binary_cross_entropy"
    )
    with pytest.raises(
        InvalidDataError, match="targets outside 0 … 1; only 0, 1 and probabilities"
    ):
        backend.forward(backend.initial_state(), (np.ones((2, 2)), np.array([-1, 1])))
    assert np.isnan(
        backend.forward(backend.initial_state(), (np.ones((2, 2)), jnp.array([-1, 1])))
    ).tolist() == [
        True,
        False,
    ]


def test_names() -> None:
    assert list(LOSSES) == ["cross_entropy", "squared_error", "binary_cross_entropy"]
    assert loss_of(None) is LOSSES["cross_entropy"]


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_a_closed_model_is_read_as_what_it_is(loss: str) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = (rng.normal(size=(60, 4)) + 3 * y[:, None] - 1.5).astype(np.float32)
    weights = np.array([[-1.0, 1.0]] * 4, np.float32)
    close = jax.nn.softmax if loss == "cross_entropy" else jax.nn.sigmoid
    target = y if loss == "cross_entropy" else np.eye(2, dtype=np.float32)[y]
    plain = opened((lambda p, x: x @ p, weights), (x, target), loss=loss)
    closed = opened((lambda p, x: close(x @ p), weights), (x, target), loss=loss)
    np.testing.assert_allclose(closed.seen.losses, plain.seen.losses, rtol=1e-3, atol=1e-4)
    blind = JaxBackend((lambda p, x: close(x @ p), weights), loss=loss)
    state = blind.initial_state()
    assert np.abs(blind.forward(state, (x, target)) - plain.seen.losses).mean() > 0.1
    twice = closed.backend.reading((x, target)).forward(state, (x, target))
    np.testing.assert_array_equal(twice, closed.seen.losses)
    steps = [
        b.sgd_step(state, (x, target), lr=0.1, seed=0) for b in (plain.backend, closed.backend)
    ]
    np.testing.assert_allclose(steps[1].params, steps[0].params, rtol=1e-3, atol=1e-3)


def test_an_own_loss_of_numbers_needs_no_chance_loss() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 3)).astype(np.float32)
    w = np.array([[1.0], [-2.0], [0.5]], np.float32)
    y = x @ w + 0.1 * rng.normal(size=(100, 1)).astype(np.float32)
    found = gx.GEX(chains=2, snapshots=4).fit(
        (lambda params, x: x @ params, jnp.asarray(w)), (x, y),
        loss=lambda output, y: 3.0 * jnp.abs(output - y).sum(1), progress=False,
    )  # fmt: skip
    assert found.run.count()["member"] > 0


def identity(loss: str | None) -> JaxBackend:
    """A model that returns its inputs."""
    return JaxBackend((lambda params, x: x + 0.0 * params, np.zeros(1)), loss=loss)


def test_losses_of_parts_have_the_shape_of_the_targets() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(4, 5, 3)), rng.integers(0, 3, (4, 5))
    labels[1, 2] = labels[3, :2] = -100
    tokens = identity(None)
    state = tokens.initial_state()
    parts = np.asarray(tokens.part_losses(state, (scores, labels)))
    log_p = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    expected = -np.take_along_axis(log_p, np.maximum(labels, 0)[..., None], -1)[..., 0]
    np.testing.assert_allclose(parts, np.where(labels < 0, np.nan, expected), rtol=1e-5)
    whole = tokens.forward(state, (scores, labels))
    np.testing.assert_allclose(np.nanmean(parts, axis=1), whole, rtol=1e-5)
    for loss in ("binary_cross_entropy", "squared_error"):
        backend, targets = identity(loss), (rng.random((4, 5, 3)) < 0.5).astype(float)
        parts = np.asarray(backend.part_losses(state, (scores, targets)))
        assert parts.shape == targets.shape
        np.testing.assert_allclose(
            parts.sum((1, 2)), backend.forward(state, (scores, targets)), rtol=1e-5
        )


def test_the_wrong_label_of_several_stands_out_and_an_own_loss_has_no_parts() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3)).astype(np.float32)
    y = (x > 0).astype(np.float32)
    y[7, 1] = 1 - y[7, 1]
    x[7, 1] *= 4
    model = (lambda params, x: x * params, np.full(3, 3.0, np.float32))
    gex = gx.GEX(chains=1, snapshots=2, lr=1e-3)
    found = gex.fit(model, (x, y), loss="binary_cross_entropy", progress=False)
    scores = found.part_suspicion()
    assert scores.shape == (60, 3)
    assert np.unravel_index(scores.argmax(), scores.shape) == (7, 1)
    own = JaxBackend(model, loss=lambda output, y: jnp.abs(output - y).sum(1))
    assert not supports(own, SupportsPartLosses)
