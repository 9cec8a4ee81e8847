"""Per-sample gradients, features and Kronecker factors against the same by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from gexcore.backend.capabilities import supports
from gexcore.backend.drawing import sample_targets
from gexcore.backend.kronecker import KroneckerBlock
from gexcore.backend.protocols import SupportsFeatures, SupportsKronecker
from gexcore.errors import InvalidDataError, InvalidModelError, InvalidSettingError
from gexcore.testing.compare import assert_close
from gexcore_tensorflow import gradients
from gexcore_tensorflow.backend import TensorFlowBackend

layers = keras.layers
RNG = np.random.default_rng(0)
N = 6
X = RNG.normal(size=(N, 5))
IMAGES = RNG.normal(size=(N, 6, 5, 2))
SERIES = RNG.normal(size=(N, 4, 5))
Y = np.arange(N) % 3
F64: dict[str, Any] = {"dtype": "float64"}


def seeded(model: Any) -> Any:
    """The model with weights that are nowhere special; variances are positive."""
    rng = np.random.default_rng(1)
    model.set_weights(
        [rng.normal(0.2, 0.5, w.shape) ** (2 if w.ndim == 1 else 1) for w in model.get_weights()]
    )
    return model


def stack(*parts: keras.layers.Layer, shape: tuple[int | None, ...] = (5,)) -> keras.Model:
    """The layers one after the other, in float64, from fixed weights."""
    return seeded(keras.Sequential([layers.Input(shape, **F64), *parts]))


def dense(units: int = 3, **settings: Any) -> keras.layers.Layer:
    return layers.Dense(units, **F64, **settings)


def network() -> keras.Model:
    return stack(
        dense(8),
        layers.BatchNormalization(**F64),
        layers.Activation("tanh", **F64),
        layers.Dropout(0.5, **F64),
        dense(),
    )


def frozen() -> keras.Model:
    model = network()
    model.layers[0].bias.trainable = False
    model.layers[4].trainable = False
    return model


def convolutional() -> keras.Model:
    return stack(
        layers.Conv2D(4, 3, activation="relu", **F64),
        layers.BatchNormalization(**F64),
        layers.Conv2D(4, 2, padding="same", **F64),
        layers.Flatten(**F64),
        dense(activation="softmax"),
        shape=IMAGES.shape[1:],
    )


class Twice(keras.Model):  # type: ignore[misc]
    """One layer that is called twice, and layers whose order is not that of their calls."""

    def __init__(self) -> None:
        super().__init__(**F64)
        self.head, self.inner = dense(), dense(5, activation="tanh")

    def call(self, x: Any) -> Any:
        return self.head(self.inner(self.inner(x)))


class Centred(keras.layers.Layer):  # type: ignore[misc]
    """Mixes the samples of a batch."""

    def call(self, x: Any) -> Any:
        return x - tf.reduce_mean(x, 0)


class Scaled(keras.Model):  # type: ignore[misc]
    """Takes numbers beside the samples."""

    def __init__(self) -> None:
        super().__init__(**F64)
        self.head = dense()

    def call(self, inputs: Any) -> Any:
        return {"logits": self.head(inputs["x"]) * tf.reduce_sum(inputs["scale"])}


class Looping(keras.layers.Layer):  # type: ignore[misc]
    """Calls its layer in a loop of TensorFlow's."""

    def build(self, shape: Any) -> None:
        self.inner = dense(3)
        self.inner.build((None, *shape[2:]))

    def call(self, x: Any) -> Any:
        return tf.map_fn(self.inner, x)


class Module(tf.Module):  # type: ignore[misc]
    """A plain module, compiled by its author."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.passes = (
            tf.Variable(RNG.normal(size=(5, 3))),
            tf.Variable(0, trainable=False),
        )

    @tf.function
    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return x @ self.weight


def cross_entropy(output: Any, y: Any) -> tf.Tensor:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(y, output)


def by_hand(model: Any, x: Any, y: Any, loss: Any = cross_entropy) -> Any:
    """One forward and backward pass per sample, in evaluation mode; the model gives scores."""
    rows = []
    for i in range(len(y)):
        mode = {"training": False} if isinstance(model, keras.layers.Layer) else {}
        with tf.GradientTape() as tape:
            value = loss(model(x[i : i + 1], **mode), y[i : i + 1])
        variables = [
            v.value if isinstance(v, keras.Variable) else v for v in model.trainable_variables
        ]
        grads = tape.gradient(value, variables, unconnected_gradients="zero")
        rows.append(np.concatenate([tf.convert_to_tensor(g).numpy().ravel() for g in grads]))
    return np.stack(rows)


def scores(model: keras.Model) -> keras.Model:
    """The model in the same memory, without its closing softmax."""
    model.layers[-1].activation = keras.activations.linear
    return model


def run(parts: list[Any], x: Any) -> Any:
    """What the layers make of it one after the other, in evaluation mode."""
    for layer in parts:
        x = layer(x, training=False) if hasattr(layer, "moving_mean") else layer(x)
    return x


def route(backend: TensorFlowBackend) -> str:
    """The fastest way that worked."""
    return backend._program._gradients._routes[0].__name__


class TestSampleGradients:
    @pytest.mark.parametrize(
        ("make", "x"),
        [
            (network, X),
            (frozen, X),
            (convolutional, IMAGES),
            (lambda: stack(layers.SimpleRNN(3, **F64), dense(), shape=(None, 5)), SERIES),
            (
                lambda: stack(
                    layers.Embedding(6, 3, **F64), layers.Flatten(**F64), dense(), shape=(4,)
                ),
                np.eye(6, 4),
            ),
            (Module, X),
        ],
    )
    def test_are_those_of_a_loop(self, make: Callable[[], Any], x: Any) -> None:
        model = make()
        backend = TensorFlowBackend(model)
        state = backend.initial_state()
        found = [
            backend.sample_gradients(state, (x, Y)),
            backend.sample_gradients(state, (x[::-1][:5], Y[::-1][:5])),
        ]
        rows = by_hand(scores(model) if make is convolutional else model, x, Y)
        assert_close(found[0], rows, 1e-12)
        assert_close(found[1], rows[::-1][:5], 1e-12)
        assert rows.shape == (N, backend.ravel(state).size)
        assert route(backend) == "_at_once"

    def test_follow_the_state(self) -> None:
        model = network()
        backend = TensorFlowBackend(model)
        first = by_hand(model, X, Y)
        state = backend.sgd_step(backend.initial_state(), (X, Y), lr=0.5, seed=0)
        model.set_weights([*state.params[:4], *state.buffers[:2], *state.params[4:]])
        assert_close(backend.sample_gradients(state, (X, Y)), by_hand(model, X, Y), 1e-12)
        assert_close(backend.sample_gradients(backend.initial_state(), (X, Y)), first, 1e-12)

    def test_of_a_large_model_are_taken_in_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        backend = TensorFlowBackend(network())
        whole = backend.sample_gradients(backend.initial_state(), (X, Y))
        monkeypatch.setattr(gradients, "AT_ONCE", 4 * whole.shape[1])
        assert_close(backend.sample_gradients(backend.initial_state(), (X, Y)), whole, 1e-12)
        assert route(backend) == "_at_once"

    @pytest.mark.parametrize(
        ("scale", "taken"),
        [(np.array(0.5), "_one_by_one"), (np.linspace(0.5, 1.0, N), "_from_whole_batch")],
    )
    def test_of_batches_with_more_than_samples_in_them(self, scale: Any, taken: str) -> None:
        model = Scaled()
        model({"x": X, "scale": scale})
        backend = TensorFlowBackend(model)
        batch = {"x": X, "scale": scale, "label": Y}
        for _ in range(2):
            rows = backend.sample_gradients(backend.initial_state(), batch)
            expected = by_hand(model.head, X, Y, lambda f, y: cross_entropy(scale.sum() * f, y))
            assert_close(rows, expected, 1e-12)
            assert route(backend) == taken

    def test_where_samples_are_mixed(self) -> None:
        backend = TensorFlowBackend(stack(Centred(**F64), dense()))
        state = backend.initial_state()
        rows = backend.sample_gradients(state, (X, Y))
        tangent = RNG.normal(size=rows.shape[1])
        assert_close(rows @ tangent, backend.jvp(state, tangent, (X, Y)), 1e-12)
        assert route(backend) == "_from_whole_batch"

    def test_of_samples_that_are_fitted_to_the_last_digit(self) -> None:
        model = keras.Sequential([layers.Input((5,)), layers.Dense(3)])
        kernel = np.zeros((5, 3), np.float32)
        model.set_weights([kernel, np.array([30.0, 0.0, 0.0])])
        backend = TensorFlowBackend(model)
        backend.sample_gradients(backend.initial_state(), (X.astype("float32"), np.zeros(N, int)))
        assert route(backend) == "_at_once"

    def test_of_what_cannot_be_scored_are_refused(self) -> None:
        backend = TensorFlowBackend(network())
        for method in (backend.sample_gradients, lambda *args: backend.kronecker(*args, seed=0)):
            with pytest.raises(InvalidDataError, match=r"label 3 is outside 0 … 2"):
                method(backend.initial_state(), (X, Y + 1))

    def test_tell_the_user_nothing_of_how_they_are_mapped(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        backend = TensorFlowBackend(convolutional())
        logger = tf.get_logger()
        logger.addHandler(caplog.handler)
        filters = list(logger.filters)
        try:
            backend.sample_gradients(backend.initial_state(), (IMAGES, Y))
        finally:
            logger.removeHandler(caplog.handler)
        assert not caplog.records
        assert logger.filters == filters


class TestFeatures:
    @pytest.mark.parametrize(("make", "x"), [(network, X), (frozen, X), (convolutional, IMAGES)])
    def test_are_the_inputs_of_the_last_layer(
        self, make: Callable[[], keras.Model], x: Any
    ) -> None:
        model = make()
        backend = TensorFlowBackend(model)
        expected = run(model.layers[:-1], x)
        assert_close(backend.features(backend.initial_state(), (x, Y)), expected, 1e-12)

    def test_of_the_layer_that_runs_last_not_the_one_that_is_last(self) -> None:
        model = Twice()
        model(X)
        backend = TensorFlowBackend(model)
        features = backend.features(backend.initial_state(), (X, Y))
        assert_close(features, model.inner(model.inner(X)), 1e-12)

    def test_of_several_places_are_flattened_and_of_half_precision_made_whole(self) -> None:
        model = keras.Sequential(
            [layers.Input((4, 5), dtype="float16"), layers.Dense(2, dtype="float16")]
        )
        model.add(layers.Flatten(dtype="float16"))
        backend = TensorFlowBackend(model)
        features = backend.features(backend.initial_state(), (SERIES, Y))
        assert features.dtype == np.float32
        assert_close(features, SERIES.reshape(N, -1).astype("float16"), 0.0)

    def test_need_a_dense_layer_that_runs(self) -> None:
        without = stack(layers.Conv1D(3, 4, **F64), layers.Flatten(**F64), shape=(4, 5))
        assert not supports(TensorFlowBackend(without), SupportsFeatures)
        assert not supports(TensorFlowBackend(Module()), SupportsFeatures)
        assert not supports(TensorFlowBackend(Module()), SupportsKronecker)
        inside = stack(Looping(**F64), layers.Flatten(**F64), shape=(4, 5))
        backend = TensorFlowBackend(inside)
        with pytest.raises(
            InvalidModelError,
            match="none of the model's Dense layers runs by being called outside of a loop",
        ):
            backend.features(backend.initial_state(), (SERIES, Y))
        assert backend.kronecker(backend.initial_state(), (SERIES, Y), seed=None) == []

    def test_need_one_block_of_rows_per_sample(self) -> None:
        class Flat(keras.Model):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__(**F64)
                self.layer = dense(1)

            def call(self, x: Any) -> Any:
                return tf.reshape(self.layer(tf.reshape(x, [-1, 5])), [-1, 4])

        model = Flat()
        model(SERIES)
        backend = TensorFlowBackend(model)
        with pytest.raises(
            InvalidModelError, match="last Dense layer has 24 rows for 6 samples; reshape it"
        ):
            backend.features(backend.initial_state(), (SERIES, Y))


def explicit(layer: Any, rest: Callable[[Any], Any], x: Any, y: Any) -> tuple[Any, Any]:
    """Both factors from what enters and leaves the weights of a layer, place by place of every
    sample."""
    bare = type(layer).from_config({**layer.get_config(), "activation": None})
    bare.build(x.shape)
    bare.set_weights(layer.get_weights())
    inputs = outputs = 0
    for i in range(len(y)):
        with tf.GradientTape(persistent=True) as tape:
            z = bare(x[i : i + 1])
            tape.watch(z)
            loss = cross_entropy(rest(layer.activation(z)), y[i : i + 1])
            # a layer is linear in its weights: its derivative by those of one output is its input
            # at each place
            first = tf.reshape(
                z[:, 0] if getattr(layer, "data_format", "") == "channels_first" else z[..., 0],
                [-1],
            )
        a = tf.reshape(tape.jacobian(first, bare.kernel.value)[..., 0], [len(first), -1]).numpy()
        s = tape.gradient(loss, z).numpy()
        s = (
            np.moveaxis(s, 1, -1) if getattr(layer, "data_format", "") == "channels_first" else s
        ).reshape(len(a), -1)
        if layer.bias is not None:
            a = np.column_stack([a, np.ones(len(a))])
        inputs = inputs + a.T @ a / len(y)
        outputs = outputs + s.T @ s / len(s) / len(y)
    return inputs, outputs


def channels_first(layer: Any, inputs: Any, kernel: Any) -> Any:
    """What the layer computes on a GPU; on the CPU, TensorFlow has no convolution with the channels
    first."""
    images = tf.transpose(inputs, [0, 2, 3, 1])
    outputs = tf.nn.conv2d(
        images, kernel, layer.strides, layer.padding.upper(), dilations=layer.dilation_rate
    )
    return tf.transpose(outputs, [0, 3, 1, 2])


def assert_factors(block: KroneckerBlock, expected: tuple[Any, Any]) -> None:
    assert_close(block.inputs, expected[0], 1e-12)
    assert_close(block.outputs, expected[1], 1e-12)


def assert_same(found: list[KroneckerBlock], expected: list[KroneckerBlock]) -> None:
    assert [block.name for block in found] == [block.name for block in expected]
    for block, other in zip(found, expected, strict=True):
        assert_factors(block, (other.inputs, other.outputs))


PLACES: list[tuple[Callable[[], Any], Any]] = [
    (lambda: layers.Conv2D(3, 3, activation="softplus", **F64), IMAGES),
    (lambda: layers.Conv2D(3, 2, padding="same", use_bias=False, **F64), IMAGES),
    (
        lambda: layers.Conv2D(
            3, (3, 2), strides=(2, 1), padding="same", activation=layers.ReLU(**F64), **F64
        ),
        IMAGES,
    ),
    (lambda: layers.Conv2D(3, 2, strides=(1, 2), **F64), IMAGES),
    (lambda: layers.Conv2D(3, (3, 2), dilation_rate=(1, 2), padding="same", **F64), IMAGES),
    (
        lambda: layers.Conv2D(3, (3, 2), padding="same", data_format="channels_first", **F64),
        np.moveaxis(IMAGES, -1, 1),
    ),
    (lambda: layers.Conv1D(3, 3, strides=2, padding="same", activation="tanh", **F64), SERIES),
    (lambda: layers.Conv1D(3, 2, padding="causal", dilation_rate=2, **F64), SERIES),
    (lambda: dense(3, activation="tanh"), SERIES),
    (lambda: dense(3, use_bias=False), SERIES),
]


class TestKronecker:
    @pytest.mark.parametrize(("make", "x"), PLACES)
    def test_of_several_places_one_by_one(
        self, make: Callable[[], Any], x: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        layer, head = make(), dense()
        if getattr(layer, "data_format", "") == "channels_first":
            monkeypatch.setattr(layers.Conv2D, "convolution_op", channels_first)
        backend = TensorFlowBackend(stack(layer, layers.Flatten(**F64), head, shape=x.shape[1:]))
        block = backend.kronecker(backend.initial_state(), (x, Y), seed=None)[0]
        assert_factors(block, explicit(layer, lambda z: head(tf.reshape(z, [1, -1])), x, Y))

    @pytest.mark.parametrize(
        ("parts", "x"),
        [
            ([lambda: dense(activation="tanh")], X),
            ([lambda: dense(use_bias=False)], X),
            (
                [
                    lambda: layers.Conv2D(3, (6, 5), activation="tanh", **F64),
                    lambda: layers.Flatten(**F64),
                ],
                IMAGES,
            ),
            (
                [lambda: layers.Conv1D(3, 4, use_bias=False, **F64), lambda: layers.Flatten(**F64)],
                SERIES,
            ),
        ],
    )
    def test_of_one_sample_and_one_place_are_the_fisher_matrix(self, parts: Any, x: Any) -> None:
        model = stack(*(make() for make in parts), shape=x.shape[1:])
        backend = TensorFlowBackend(model)
        for i in range(2):
            batch = x[i : i + 1], Y[i : i + 1]
            (block,) = backend.kronecker(backend.initial_state(), batch, seed=None)
            g = by_hand(model, *batch)[0][block.positions.ravel()]
            assert_close(np.kron(block.outputs, block.inputs), np.outer(g, g), 1e-12)

    def test_of_a_network_in_evaluation_mode(self) -> None:
        for model, x in ((network(), X), (convolutional(), IMAGES)):
            backend = TensorFlowBackend(model)
            state = backend.initial_state()
            blocks = backend.kronecker(state, (x, Y), seed=None)
            weighty = [
                n
                for n, layer in enumerate(model.layers)
                if isinstance(layer, layers.Dense | layers.Conv2D)
            ]
            assert [block.name for block in blocks] == [
                model.layers[n].kernel.path for n in weighty
            ]
            scores(model)
            for block, n in zip(blocks, weighty, strict=True):
                rest = partial(run, model.layers[n + 1 :])
                assert_factors(block, explicit(model.layers[n], rest, run(model.layers[:n], x), Y))
                kernel, bias = (v.numpy() for v in model.layers[n].weights)
                flat = backend.ravel(state)
                assert np.array_equal(
                    flat[block.positions[:, :-1]], kernel.reshape(-1, len(bias)).T
                )
                assert np.array_equal(flat[block.positions[:, -1]], bias)

    def test_of_a_layer_whose_activation_was_taken_off(self) -> None:
        model = stack(dense(activation="softmax"))
        expected = TensorFlowBackend(model)
        found = [expected.kronecker(expected.initial_state(), (X, Y), seed=None)]
        model.layers[0].activation = None
        backend = TensorFlowBackend(model)
        found.append(backend.kronecker(backend.initial_state(), (X, Y), seed=None))
        assert_same(*found)
        assert model.layers[0].activation is None

    def test_of_frozen_parts(self) -> None:
        model = frozen()
        backend = TensorFlowBackend(model)
        (block,) = backend.kronecker(backend.initial_state(), (X, Y), seed=None)
        assert block.name == model.layers[0].kernel.path
        assert block.positions.tolist() == np.arange(40).reshape(5, 8).T.tolist()
        assert_close(block.inputs, X.T @ X / N, 1e-12)

    def test_leave_out_what_does_not_fit(self) -> None:
        class Doubling(layers.Dense):  # type: ignore[misc]
            def call(self, inputs: Any, training: bool | None = None) -> Any:
                return 2 * super().call(inputs)

        class Tied(layers.Dense):  # type: ignore[misc]
            def build(self, shape: Any) -> None:
                super().build(shape)
                self._kernel = tied.kernel

        class Positions(layers.Layer):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__(**F64)
                self.inner = dense(5)

            def call(self, x: Any) -> Any:
                return x + self.inner(table)

        tied, adapted, table = dense(5), dense(5), tf.eye(4, 5, dtype=tf.float64)
        parts = [
            tied,
            Tied(5, **F64),
            Doubling(5, **F64),
            Positions(),
            layers.Conv1D(5, 1, groups=5, **F64),
            adapted,
        ]
        model = stack(
            *parts,
            layers.Conv1DTranspose(2, 1, **F64),
            layers.Flatten(**F64),
            dense(),
            shape=(4, 5),
        )
        adapted.enable_lora(2)
        backend = TensorFlowBackend(model)
        blocks = backend.kronecker(backend.initial_state(), (SERIES, Y), seed=None)
        assert [block.name for block in blocks] == [model.layers[-1].kernel.path]

    def test_leave_out_a_layer_that_is_called_twice(self) -> None:
        model = Twice()
        model(X)
        backend = TensorFlowBackend(model)
        (block,) = backend.kronecker(backend.initial_state(), (X, Y), seed=None)
        assert block.name == model.head.kernel.path
        assert_factors(
            block, explicit(model.head, lambda z: z, np.array(model.inner(model.inner(X))), Y)
        )

    def test_leave_out_a_layer_that_sees_samples_unequally_often(self) -> None:
        class Masked(keras.Model):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__(**F64)
                self.inner, self.head = dense(1), dense()

            def call(self, x: Any) -> Any:
                return self.head(x) + tf.reduce_sum(self.inner(tf.boolean_mask(x, x[:, 0] > 0)))

        model = Masked()
        model(X)
        assert (X[:, 0] > 0).sum() % N
        backend = TensorFlowBackend(model)
        (block,) = backend.kronecker(backend.initial_state(), (X, Y), seed=None)
        assert block.name == model.head.kernel.path

    def test_of_a_layer_no_loss_depends_on(self) -> None:
        class Idle(keras.Model):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__(**F64)
                self.inner, self.head = dense(2), dense()

            def call(self, x: Any) -> Any:
                self.inner(x)
                return self.head(x)

        model = Idle()
        model(X)
        backend = TensorFlowBackend(model)
        first, _ = backend.kronecker(backend.initial_state(), (X, Y), seed=None)
        assert not first.outputs.any()
        assert_close(first.inputs[:5, :5], X.T @ X / N, 1e-12)

    def test_are_absent_without_such_a_layer(self) -> None:
        model = network()
        assert supports(TensorFlowBackend(model), SupportsKronecker)
        model.layers[0].trainable = model.layers[4].trainable = False
        assert not supports(TensorFlowBackend(model), SupportsKronecker)

    def test_with_a_seed_are_of_drawn_labels(self) -> None:
        backend = TensorFlowBackend(network())
        state = backend.initial_state()
        for seed in (0, 1):
            labels = sample_targets(backend.logits(state, (X, Y)), seed=seed)
            expected = backend.kronecker(state, (X, labels), seed=None)
            for given in (Y, np.full((N, 3), 1 / 3)):
                assert_same(backend.kronecker(state, (X, given), seed=seed), expected)

    def test_with_a_seed_draw_a_label_per_position_that_counts(self) -> None:
        backend = TensorFlowBackend(stack(dense(), shape=(4, 5)))
        state, labels = backend.initial_state(), np.tile(Y[:, None], 4)
        labels[:, 1] = -100
        drawn = sample_targets(
            backend.logits(state, (SERIES, labels)).reshape(-1, 3), seed=2
        ).reshape(N, 4)
        drawn[:, 1] = -100
        expected = backend.kronecker(state, (SERIES, drawn), seed=None)
        assert_same(backend.kronecker(state, (SERIES, labels), seed=2), expected)

    @pytest.mark.parametrize("activation", [None, "softmax"])
    def test_of_squared_error_are_of_numbers_about_the_output(self, activation: str | None) -> None:
        model = stack(dense(activation=activation))
        backend = TensorFlowBackend(model, loss="squared_error")
        state = backend.initial_state()
        drawn = sample_targets(model(X).numpy(), seed=3, squared_error=True)
        expected = backend.kronecker(state, (X, drawn), seed=None)
        assert_same(backend.kronecker(state, (X, np.zeros((N, 3))), seed=3), expected)

    @pytest.mark.parametrize(
        ("loss", "told"),
        [
            ("binary_cross_entropy", "the loss is 'binary_cross_entropy'"),
            (keras.losses.MeanAbsoluteError(), "the loss is a function"),
        ],
    )
    def test_of_other_losses_are_for_given_labels_only(self, loss: Any, told: str) -> None:
        backend = TensorFlowBackend(stack(dense()), loss=loss)
        state, batch = backend.initial_state(), (X, np.eye(3)[Y])
        assert len(backend.kronecker(state, batch, seed=None)) == 1
        with pytest.raises(
            InvalidSettingError,
            match=f"targets cannot be drawn where {told}, only for 'cross_entropy'",
        ):
            backend.kronecker(state, batch, seed=0)

    def test_of_half_precision_are_single(self) -> None:
        model = keras.Sequential([layers.Input((5,)), layers.Dense(3, dtype="mixed_float16")])
        backend = TensorFlowBackend(model)
        (block,) = backend.kronecker(backend.initial_state(), (X.astype("float32"), Y), seed=0)
        assert {block.inputs.dtype, block.outputs.dtype} == {np.dtype("float32")}


def test_the_model_is_not_touched() -> None:
    model = convolutional()
    attributes = [dict(vars(layer)) for layer in model.layers]
    before = model.get_weights()
    backend = TensorFlowBackend(model)
    state = backend.initial_state()
    backend.sample_gradients(state, (IMAGES, Y))
    backend.features(state, (IMAGES, Y))
    backend.kronecker(state, (IMAGES, Y), seed=0)
    for layer, old in zip(model.layers, attributes, strict=True):
        assert vars(layer).keys() == old.keys()
        assert vars(layer).get("activation") is old.get("activation")
    assert all(
        np.array_equal(now, then) for now, then in zip(model.get_weights(), before, strict=True)
    )


def test_the_model_is_not_touched_by_a_pass_that_fails() -> None:
    class Failing(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            if not isinstance(x, keras.KerasTensor) and "call" in vars(first):
                raise ArithmeticError("out of luck")
            return x

    first = dense(activation="relu")
    model = stack(first, Failing(**F64), dense())
    activation = first.activation
    backend = TensorFlowBackend(model)
    for call in (backend.features, lambda *args: backend.kronecker(*args, seed=None)):
        with pytest.raises(ArithmeticError, match="out of luck"):
            call(backend.initial_state(), (X, Y))
        assert "call" not in vars(first)
        assert first.activation is activation
