"""Losses and optimisers of the tensorflow backend: values, targets, Keras' own, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import gexcore as gx
from gexcore.backend.capabilities import supports
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import SupportsLogits, SupportsPartLosses
from gexcore.errors import GexError, InvalidDataError, InvalidModelError
from gexcore.testing.compare import assert_close
from gexcore_tensorflow.backend import TensorFlowBackend
from gexcore_tensorflow.losses import cross_entropy

layers = keras.layers
RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(6, 3))
LABELS = np.array([0, 1, 2, 0, 1, 2])


def identity(shape: tuple[int, ...], **settings: Any) -> keras.Model:
    """A model that returns its inputs."""
    model = keras.Sequential(
        [layers.Input(shape, dtype="float64"), layers.Dense(shape[-1], dtype="float64", **settings)]
    )
    model.set_weights([np.eye(shape[-1]), np.zeros(shape[-1])])
    return model


def losses(loss: Any, outputs: Any, targets: Any, **settings: Any) -> Any:
    backend = TensorFlowBackend(identity(outputs.shape[1:], **settings), loss=loss)
    return backend.forward(backend.initial_state(), (outputs, targets))


def log_softmax(scores: Any) -> Any:
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


@pytest.mark.parametrize("dtype", ["int32", "uint8", "int64"])
def test_cross_entropy_of_labels(dtype: str) -> None:
    assert_close(
        losses(None, SCORES, LABELS.astype(dtype)), -log_softmax(SCORES)[range(6), LABELS], 1e-12
    )


def test_cross_entropy_of_probabilities() -> None:
    soft = RNG.dirichlet(np.ones(3), 6)
    assert_close(losses("cross_entropy", SCORES, soft), -(soft * log_softmax(SCORES)).sum(1), 1e-12)


def test_cross_entropy_of_positions_is_their_mean_without_those_that_do_not_count() -> None:
    scores = RNG.normal(size=(2, 4, 3))
    labels = np.array([[0, 1, 2, 0], [1, -100, -100, 2]])
    each = -np.take_along_axis(log_softmax(scores), np.maximum(labels, 0)[..., None], -1)[..., 0]
    assert_close(
        losses(None, scores, labels), [each[0].mean(), (each[1, 0] + each[1, 3]) / 2], 1e-12
    )


@pytest.mark.parametrize("shape", [(6, 1), (6,)])
def test_squared_error_sums_over_outputs(shape: tuple[int, ...]) -> None:
    assert_close(losses("squared_error", SCORES, SCORES + 2), np.full(6, 12.0), 1e-12)
    assert_close(
        losses("squared_error", SCORES[:, :1], np.ones(shape)), (SCORES[:, 0] - 1) ** 2, 1e-12
    )


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_binary_cross_entropy_looks_through_a_closing_sigmoid(activation: str | None) -> None:
    scores, targets = 50 * SCORES, (SCORES > 0.2).astype(int)
    expected = np.logaddexp(0, np.where(targets == 1, -scores, scores)).sum(1)
    assert_close(
        losses("binary_cross_entropy", scores, targets, activation=activation), expected, 1e-12
    )


def test_squared_error_does_not_look_through_it() -> None:
    expected = ((1 / (1 + np.exp(-SCORES)) - 1) ** 2).sum(1)
    assert_close(
        losses("squared_error", SCORES, np.ones((6, 3)), activation="sigmoid"), expected, 1e-12
    )


@pytest.mark.parametrize(
    "loss",
    [
        lambda output, target: tf.nn.sparse_softmax_cross_entropy_with_logits(target, output),
        keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction=None, dtype="float64"
        ),
        lambda y_true, y_pred: keras.losses.sparse_categorical_crossentropy(
            y_true, y_pred, from_logits=True
        ),
    ],
    ids=["function", "keras", "keras_order"],
)
def test_a_loss_of_the_users_own(loss: Callable[..., Any]) -> None:
    assert_close(losses(loss, SCORES, LABELS), -log_softmax(SCORES)[range(6), LABELS], 1e-7)


def test_logits_are_for_classifiers() -> None:
    for loss, has in ((None, True), ("squared_error", False), ("binary_cross_entropy", False)):
        assert supports(TensorFlowBackend(identity((3,)), loss=loss), SupportsLogits) is has


@pytest.mark.parametrize(
    ("loss", "outputs", "targets", "error", "message"),
    [
        (
            "margin",
            SCORES,
            LABELS,
            InvalidModelError,
            "no loss named 'margin'; allowed are cross_entropy, squared_error",
        ),
        (
            lambda a, b: tf.reduce_mean(a),
            SCORES,
            LABELS,
            InvalidModelError,
            r"returned one number for b samples",
        ),
        (
            lambda a, b: a,
            SCORES,
            LABELS,
            InvalidModelError,
            r"returned shape \(b, 3\) for b samples",
        ),
        (
            None,
            SCORES[:, :1],
            LABELS,
            InvalidModelError,
            "needs scores of shape .b, K., two classes or more",
        ),
        (
            None,
            SCORES,
            LABELS + 1,
            InvalidDataError,
            r"label 3 is outside 0 … 2, the 3 classes of the model",
        ),
        (None, SCORES, LABELS - 1, InvalidDataError, r"label -1 is outside 0 … 2"),
        (
            None,
            SCORES,
            np.stack([LABELS, LABELS], 1),
            InvalidDataError,
            r"labels of shape \(b, 2\) for scores of shape \(b, 3\)",
        ),
        (
            None,
            SCORES,
            SCORES[:, 0],
            InvalidDataError,
            r"float64 targets of shape \(b,\) for scores of shape \(b, 3\)",
        ),
        (
            None,
            SCORES,
            np.array(list("abcabc")),
            InvalidDataError,
            "targets are of type string, and cross_entropy needs",
        ),
        (
            "squared_error",
            SCORES,
            LABELS,
            InvalidDataError,
            r"squared_error got targets of shape \(b,\) for outputs",
        ),
        (
            "binary_cross_entropy",
            SCORES,
            2 * SCORES,
            InvalidDataError,
            "got targets outside 0 … 1; only 0, 1 and",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    loss: Any, outputs: Any, targets: Any, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        losses(loss, outputs, targets)


def test_a_model_with_several_outputs_needs_a_loss_of_its_own() -> None:
    inputs = layers.Input((3,))
    model = keras.Model(inputs, [layers.Dense(3)(inputs), layers.Dense(2)(inputs)])
    backend = TensorFlowBackend(model)
    for method in (backend.forward, backend.logits):
        with pytest.raises(
            InvalidModelError,
            match=r"the model has 2 outputs, and cross_entropy needs one; give keras\.Model",
        ):
            method(backend.initial_state(), (SCORES, LABELS))
    backend = TensorFlowBackend(
        model, loss=lambda output, target: output[0][:, 0] + output[1][:, 0]
    )
    assert backend.forward(backend.initial_state(), (SCORES, LABELS)).shape == (6,)


def test_a_batch_without_a_target_is_refused() -> None:
    backend = TensorFlowBackend(identity((3,)))
    for batch in (SCORES, {"image": SCORES}):
        with pytest.raises(InvalidDataError, match="has no target; give"):
            backend.forward(backend.initial_state(), batch)


@pytest.mark.parametrize(
    "make", [keras.optimizers.Adam, lambda: keras.optimizers.SGD(momentum=0.5, nesterov=True)]
)
def test_a_native_optimizer_steps_as_keras_does(make: Callable[[], Any]) -> None:
    model = identity((3,))
    backend = TensorFlowBackend(model, optimizer=Optimizer(name=make))
    state = backend.sgd_step(backend.initial_state(), (SCORES, LABELS), lr=0.3, seed=0)
    state = backend.restart(backend.unravel(state, backend.ravel(backend.initial_state())))
    for lr in (0.1, 0.05, 0.2):
        state = backend.sgd_step(state, (SCORES, LABELS), lr=lr, seed=0)
    model.compile(make(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for lr in (0.1, 0.05, 0.2):
        model.optimizer.learning_rate = lr
        model.train_on_batch(SCORES, LABELS)
    assert_close(
        backend.ravel(state), np.concatenate([w.reshape(-1) for w in model.get_weights()]), 1e-6
    )


def test_a_loss_scale_is_not_divided_by() -> None:
    states = []
    for make in (
        keras.optimizers.SGD,
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()),
    ):
        backend = TensorFlowBackend(identity((3,)), optimizer=Optimizer(name=make))
        states.append(backend.sgd_step(backend.initial_state(), (SCORES, LABELS), lr=0.1, seed=0))
    assert_close(backend.ravel(states[1]), backend.ravel(states[0]), 0.0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lion", r"no optimizer named 'lion'; allowed are 'sgd', 'adamw' and a function"),
        (lambda: object(), "returned object; it must return a keras.optimizers.Optimizer"),
        (
            lambda: keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 10)),
            "SGD has a learning rate schedule of its own",
        ),
    ],
)
def test_optimizers_that_cannot_be_used_are_refused(name: Any, message: str) -> None:
    with pytest.raises(GexError, match=message):
        TensorFlowBackend(identity((3,)), optimizer=Optimizer(name=name))


def test_soft_labels_need_not_sum_to_one() -> None:
    output = tf.constant([[0.3, -1.0, 0.5], [2.0, 0.1, -0.4]], tf.float64)
    target = np.array([[0.0, 0.2, 0.1], [0.3, 0.3, 0.9]])
    with tf.GradientTape() as tape:
        tape.watch(output)
        losses = tf.function(cross_entropy)(output, target)
    p = tf.nn.softmax(output).numpy()
    np.testing.assert_allclose(losses, -(target * np.log(p)).sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(
        tape.gradient(losses, output), p * target.sum(axis=1, keepdims=True) - target, atol=1e-12
    )


def test_an_own_loss_of_numbers_needs_no_chance_loss() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 3)).astype(np.float32)
    w = np.array([[1.0], [-2.0], [0.5]], np.float32)
    y = x @ w + 0.1 * rng.normal(size=(100, 1)).astype(np.float32)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([w])
    found = gx.GEX(chains=2, snapshots=4).fit(
        model,
        (x, y),
        progress=False,
        loss=lambda output, y: 3.0 * tf.reduce_sum(abs(output - y), 1),
    )
    assert found.run.count()["member"] > 0


def test_losses_of_parts_have_the_shape_of_the_targets() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(4, 5, 3)), rng.integers(0, 3, (4, 5))
    labels[1, 2] = labels[3, :2] = -100
    tokens = TensorFlowBackend(identity((5, 3)))
    parts = tokens.part_losses(tokens.initial_state(), (scores, labels))
    log_p = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    expected = -np.take_along_axis(log_p, np.maximum(labels, 0)[..., None], -1)[..., 0]
    np.testing.assert_allclose(parts, np.where(labels < 0, np.nan, expected), rtol=1e-5)
    whole = tokens.forward(tokens.initial_state(), (scores, labels))
    np.testing.assert_allclose(np.nanmean(parts, axis=1), whole, rtol=1e-5)
    for loss in ("binary_cross_entropy", "squared_error"):
        backend = TensorFlowBackend(identity((5, 3)), loss=loss)
        state, targets = backend.initial_state(), (rng.random((4, 5, 3)) < 0.5).astype(float)
        parts = backend.part_losses(state, (scores, targets))
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
    inputs = keras.Input((3,))
    dense = keras.layers.Dense(3, activation="sigmoid")
    model = keras.Model(inputs, dense(inputs))
    dense.set_weights([3 * np.eye(3), np.zeros(3)])
    gex = gx.GEX(chains=1, snapshots=2, lr=1e-3)
    found = gex.fit(model, (x, y), loss="binary_cross_entropy", progress=False)
    scores = found.part_suspicion()
    assert scores.shape == (60, 3)
    assert np.unravel_index(scores.argmax(), scores.shape) == (7, 1)
    own = TensorFlowBackend(model, loss=lambda output, y: tf.reduce_sum(tf.abs(output - y), 1))
    assert not supports(own, SupportsPartLosses)


def test_a_compiled_regression_on_whole_numbers_has_no_classes() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3)).astype(np.float32)
    y = rng.integers(0, 5, 60)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    found = gx.GEX(chains=1, snapshots=2, lr=1e-3).fit(model, (x, y), progress=False)
    assert found.labels is None
    assert found.output == "root"
