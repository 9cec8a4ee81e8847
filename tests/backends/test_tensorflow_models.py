"""What TensorFlow users bring: every kind of Keras model, and plain modules."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from gexcore.backend.capabilities import supports
from gexcore.backend.protocols import SupportsBufferRefresh
from gexcore.errors import InvalidDataError
from gexcore.testing.compare import assert_close
from gexcore_numpy import MLP, NumpyBackend
from gexcore_tensorflow import plugin
from gexcore_tensorflow.backend import TensorFlowBackend

layers = keras.layers
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 4)), np.arange(12) % 3


def stack(*parts: keras.layers.Layer, shape: tuple[int | None, ...] = (4,)) -> keras.Model:
    """The layers one after the other, in float64, from fixed weights."""
    model = keras.Sequential([layers.Input(shape, dtype="float64"), *parts])
    rng = np.random.default_rng(1)
    model.set_weights(
        [rng.normal(0.2, 0.5, w.shape) ** (2 if w.ndim == 1 else 1) for w in model.get_weights()]
    )
    return model


def dense(units: int = 3, **settings: Any) -> keras.layers.Layer:
    return layers.Dense(units, dtype="float64", **settings)


def normalization(**settings: Any) -> keras.layers.Layer:
    return layers.BatchNormalization(dtype="float64", epsilon=1e-5, **settings)


def difference(backend: TensorFlowBackend, tangent: Any, batch: Any) -> Any:
    """The derivative of the losses along `tangent`, from two evaluations."""
    state = backend.initial_state()
    here = backend.ravel(state)
    up, down = (
        backend.forward(backend.unravel(state, here + h * tangent), batch) for h in (1e-6, -1e-6)
    )
    return (up - down) / 2e-6


def test_refreshed_statistics_agree_with_the_oracle() -> None:
    mlp = MLP.init((4, 5, 3), seed=0, batch_norm=True)
    assert mlp.batch_norm is not None
    norm = mlp.batch_norm[0]
    model = stack(dense(5), normalization(), layers.ReLU(dtype="float64"), dense())
    first, second = zip(mlp.weights, mlp.biases, strict=True)
    model.set_weights([*first, norm.scale, norm.offset, norm.mean, norm.var, *second])
    losses = []
    for backend in (TensorFlowBackend(model), NumpyBackend(mlp)):
        state: Any = backend.initial_state()
        for step in range(3):
            state = backend.sgd_step(state, (X, Y), lr=0.1, seed=step)
        state = backend.refresh_buffers(state, [(X[:7], Y[:7]), (X[7:], Y[7:])])
        losses.append(backend.forward(state, (X, Y)))
    assert_close(losses[0], losses[1], 1e-12)


def test_statistics_are_over_positions_and_leave_out_what_is_masked() -> None:
    tokens = np.array([[1, 2, 0], [3, 0, 0], [2, 2, 1], [1, 3, 0]])
    embedding = layers.Embedding(4, 2, mask_zero=True, dtype="float64")
    norm = normalization()
    backend = TensorFlowBackend(
        stack(embedding, norm, layers.GlobalAveragePooling1D(dtype="float64"), dense(2), shape=(3,))
    )
    state = backend.refresh_buffers(backend.initial_state(), [(tokens, np.array([0, 1, 0, 1]))])
    seen = embedding.get_weights()[0][tokens[tokens > 0]]
    assert_close(state.buffers[0], seen.mean(0), 1e-12)
    assert_close(state.buffers[1], seen.var(0, ddof=1), 1e-12)


def test_dropout_is_off_while_statistics_are_estimated() -> None:
    backend = TensorFlowBackend(
        stack(layers.Dropout(0.5, dtype="float64"), normalization(), dense())
    )
    state = backend.refresh_buffers(backend.initial_state(), [(X, Y)])
    assert_close(state.buffers[0], X.mean(0), 1e-12)


def test_frozen_layers_stay_frozen() -> None:
    hidden, norm = dense(5, trainable=False), normalization(trainable=False)
    backend = TensorFlowBackend(stack(hidden, norm, dense()))
    start = backend.initial_state()
    after = backend.sgd_step(start, (X, Y), lr=0.5, seed=0)
    assert backend.ravel(start).size == 5 * 3 + 3
    assert not np.array_equal(backend.ravel(start), backend.ravel(after))
    assert all(a is b for a, b in zip(start.buffers, after.buffers, strict=True))
    assert not supports(backend, SupportsBufferRefresh)


def test_the_model_is_not_touched() -> None:
    model = stack(
        dense(5, activity_regularizer="l2"),
        normalization(),
        layers.Dropout(0.5, dtype="float64"),
        dense(),
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    variables = [*model.variables, *model.optimizer.variables]
    before = [v.numpy() for v in variables]
    attributes = [dict(vars(layer)) for layer in model.layers]
    backend = TensorFlowBackend(model)
    state = backend.sgd_step(backend.initial_state(), (X, Y), lr=0.5, seed=0)
    state = backend.refresh_buffers(state, [(X, Y)])
    backend.jvp(state, backend.ravel(state), (X, Y))
    assert all(np.array_equal(v.numpy(), old) for v, old in zip(variables, before, strict=True))
    assert [vars(layer).keys() for layer in model.layers] == [old.keys() for old in attributes]
    assert not model.losses


def test_training_the_model_further_does_not_move_the_start() -> None:
    model = stack(dense())
    backend = TensorFlowBackend(model)
    losses = backend.forward(backend.initial_state(), (X, Y))
    for variable in model.trainable_variables:
        variable.assign_add(np.ones(variable.shape))
    assert np.array_equal(backend.forward(backend.initial_state(), (X, Y)), losses)


@pytest.mark.parametrize("closing", [{"activation": "softmax"}, {}], ids=["activation", "layer"])
def test_a_closing_softmax_is_looked_through(closing: dict[str, str]) -> None:
    scores, ending = (
        stack(dense()),
        stack(dense(**closing), *([] if closing else [layers.Softmax(dtype="float64")])),
    )
    # where probabilities are rounded to 0 and 1
    for model in (scores, ending):
        model.set_weights([500 * w for w in model.get_weights()])
    expected = TensorFlowBackend(scores)
    backend = TensorFlowBackend(ending)
    state = backend.initial_state()
    losses = backend.forward(state, (X, Y))
    assert losses.max() > 100
    assert_close(losses, expected.forward(expected.initial_state(), (X, Y)), 1e-12)
    assert_close(
        backend.logits(state, (X, Y)), expected.logits(expected.initial_state(), (X, Y)), 1e-12
    )


class Branches(keras.Model):  # type: ignore[misc]
    """Subclassed, with several inputs, and an output that is a mapping; cannot be serialised."""

    def __init__(self, secret: object) -> None:
        super().__init__(dtype="float64")
        self.left, self.right, self.drop = dense(), dense(), layers.Dropout(0.5, dtype="float64")

    def call(self, inputs: Any, training: bool = False) -> dict[str, Any]:
        a, b = inputs.values() if isinstance(inputs, dict) else inputs
        return {"logits": self.drop(self.left(a) + self.right(b), training=training)}


def test_a_subclassed_model_with_several_inputs() -> None:
    model = Branches(object())
    model([X, X])
    backend = TensorFlowBackend(model)
    state = backend.initial_state()
    losses = backend.forward(state, (X, -X, Y))
    assert_close(losses, backend.forward(state, {"a": X, "b": -X, "label": Y}), 0.0)
    scores = backend.logits(state, (X, -X, Y))
    assert_close(losses, np.log(np.exp(scores).sum(1)) - scores[range(12), Y], 1e-12)
    assert_close(losses, backend.forward(state, ([X, -X], Y)), 0.0)


def test_a_mapping_with_one_input_fits_a_model_that_takes_one() -> None:
    backend = TensorFlowBackend(stack(dense()))
    state = backend.initial_state()
    assert_close(
        backend.forward(state, {"image": X, "label": Y}), backend.forward(state, (X, Y)), 0.0
    )


def test_images_in_bytes_are_numbers() -> None:
    backend = TensorFlowBackend(stack(dense()))
    state, images = backend.initial_state(), np.arange(48, dtype=np.uint8).reshape(12, 4)
    expected = backend.forward(state, (images.astype("float64"), Y))
    for x in (images, tf.constant(images), images.astype(">f4")):
        assert_close(backend.forward(state, (x, Y)), expected, 0.0)


def test_vectors_and_batches_that_do_not_fit_are_refused() -> None:
    backend = TensorFlowBackend(stack(normalization(), dense()))
    state = backend.initial_state()
    with pytest.raises(InvalidDataError, match=r"has shape \(23,\) for this model, not \(2,\)"):
        backend.unravel(state, np.zeros(2))
    with pytest.raises(InvalidDataError, match="no batches to estimate the statistics"):
        backend.refresh_buffers(state, [])


def test_recurrent_layers_have_directional_derivatives() -> None:
    backend = TensorFlowBackend(
        stack(layers.SimpleRNN(3, dtype="float64"), dense(), shape=(None, 2))
    )
    batch = RNG.normal(size=(5, 4, 2)), np.arange(5) % 3
    tangent = RNG.normal(size=backend.ravel(backend.initial_state()).size)
    along = backend.jvp(backend.initial_state(), tangent, batch)
    assert_close(along, difference(backend, tangent, batch), 1e-7)


def test_batches_of_all_sizes_and_lengths_are_traced_once() -> None:
    traces = []

    def loss(output: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        traces.append(output.shape)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(target, output)

    model = stack(
        layers.Conv1D(3, 1, dtype="float64"),
        layers.GlobalMaxPooling1D(dtype="float64"),
        shape=(None, 2),
    )
    backend = TensorFlowBackend(model, loss=loss)
    state = backend.initial_state()

    def batch(size: int, length: int = 4) -> tuple[Any, Any]:
        return np.ones((size, length, 2), np.float32 if size % 2 else np.float64), np.zeros(
            size, np.int32
        )

    for size in (8, 8, 5, 1, 13):
        backend.forward(state, batch(size))
    assert len(traces) == 1
    for step in range(10):
        state = backend.sgd_step(state, batch(8), lr=0.1 / (step + 1), seed=step)
    backend.sgd_step(state, batch(3), lr=0.1, seed=0)
    assert len(traces) == 2
    # a length that varies is left open from its second value on
    for length in (5, 6, 7, 4):
        backend.forward(state, batch(8, length))
    assert len(traces) == 3


class Module(tf.Module):  # type: ignore[misc]
    """A plain module that counts its training passes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.steps = tf.Variable(np.ones((4, 3))), tf.Variable(0, trainable=False)

    @tf.function
    def __call__(self, x: tf.Tensor, is_training: bool) -> tf.Tensor:
        if is_training:
            self.steps.assign_add(1)
        return x @ self.weight


def test_a_plain_module_is_copied_and_its_variables_follow_the_state() -> None:
    module = Module()
    backend = TensorFlowBackend(module)
    state = backend.initial_state()
    for step in range(3):
        state = backend.sgd_step(state, (X, Y), lr=0.1, seed=step)
    assert [int(s.buffers[0]) for s in (state, backend.initial_state())] == [3, 0]
    assert int(module.steps) == 0
    assert np.array_equal(module.weight, np.ones((4, 3)))
    tangent = RNG.normal(size=12)
    along = backend.jvp(backend.initial_state(), tangent, (X, Y))
    assert_close(along, difference(backend, tangent, (X, Y)), 1e-7)


def test_the_registry_finds_the_backend_of_every_kind_of_model() -> None:
    models = plugin.gexcore_register_backend().models
    for model in (
        stack(dense()),
        Branches(object()),
        keras.Model(i := layers.Input((4,)), dense()(i)),
        Module(),
    ):
        names = {f"{cls.__module__}.{cls.__qualname__}" for cls in type(model).__mro__}
        assert len(names & set(models)) == 1
