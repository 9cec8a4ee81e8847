"""What users of Keras and TensorFlow pass."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tests.situations.registry import FINAL, Scored, Situations, blobs, fit, follow_the_readme

SITUATIONS = Situations("Keras and TensorFlow")
works, refused = SITUATIONS.works, SITUATIONS.refused

X, Y = blobs()
NAMES = np.array(["ant", "bee", "cat"])
BINARY = (Y == 0).astype(np.float32)
layers = keras.layers


def net(width: int = 3, last: str | None = "softmax", **compiled: Any) -> Any:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(8, "tanh"), layers.Dense(width, activation=last)]
    )
    if compiled:
        model.compile(**compiled)
    return model


def plain(model: Any = None, x: Any = X, y: Any = Y) -> Any:
    p = np.asarray((model or net())(x))
    return -np.log(p[np.arange(len(y)), y])


def slices(*parts: Any, batch: int = 16) -> Any:
    return tf.data.Dataset.from_tensor_slices(parts).batch(batch)


@works("`fit(model, x, y)`, a model that ends in a softmax")
def arrays() -> Any:
    return Scored(fit(net(), X, Y), plain())


@works("tensors of TensorFlow")
def tensors() -> Any:
    return Scored(fit(net(), tf.constant(X), tf.constant(Y)), plain())


@works('`fit(model, frame, label="species")`, labels that are words')
def frame() -> Any:
    table = pd.DataFrame(X, columns=list("abcd")).assign(species=NAMES[Y])
    return Scored(fit(net(), table, label="species"), plain())


@works("labels of shape (N, 1), as Keras ships CIFAR-10")
def column() -> Any:
    return Scored(fit(net(), X, Y[:, None].astype(np.uint8)), plain())


@works("labels by `to_categorical`")
def categorical() -> Any:
    return Scored(fit(net(), X, keras.utils.to_categorical(Y, 3)), plain())


@works("a model that returns scores, `from_logits=True`")
def logits() -> Any:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Scored(fit(net(last=None, loss=loss), X, Y), plain())


@works("a compiled model: the loss of `compile`, by its name")
def compiled() -> Any:
    model = net(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    return Scored(fit(model, X, Y), plain())


@works('a compiled model with `loss="mse"`')
def compiled_mse() -> Any:
    model = net(1, None, loss="mse")
    return Scored(fit(model, X, X[:, 0]), (np.asarray(model(X))[:, 0] - X[:, 0]) ** 2)


@works('a sigmoid at the end and `loss="binary_crossentropy"`')
def binary() -> Any:
    model = net(1, "sigmoid", loss="binary_crossentropy")
    p = np.asarray(model(X))[:, 0]
    return Scored(fit(model, X, BINARY), -np.log(np.where(BINARY == 1, p, 1 - p)))


@works('several labels per sample, sigmoids and `loss="binary_crossentropy"`')
def multi_label() -> Any:
    model, y = net(3, "sigmoid", loss="binary_crossentropy"), np.eye(3, dtype=np.float32)[Y]
    p = np.asarray(model(X))
    return Scored(fit(model, X, y), -np.log(np.where(y == 1, p, 1 - p)).sum(1))


@works("the same, `part_suspicion()`: one score for each label")
def parts() -> Any:
    model, y = net(3, "sigmoid", loss="binary_crossentropy"), np.eye(3, dtype=np.float32)[Y]
    p = np.asarray(model(X))
    found = FINAL.fit(model, X, y, progress=False).part_suspicion()
    np.testing.assert_allclose(found, -np.log(np.where(y == 1, p, 1 - p)), rtol=1e-4)


@works('a compiled model with `loss="mse"`, and whole numbers as targets')
def whole_numbers() -> Any:
    model = net(1, None, loss="mse")
    found = fit(model, X, Y)
    assert found.labels is None
    return Scored(found, (np.asarray(model(X))[:, 0] - Y) ** 2)


@works('`loss="mae"`')
def mae() -> Any:
    model = net(1, None)
    return Scored(fit(model, X, X[:, 0], loss="mae"), abs(np.asarray(model(X))[:, 0] - X[:, 0]))


@works("`loss=keras.losses.Huber()`, with its reduction")
def huber() -> Any:
    model = net(1, None)
    wanted = keras.losses.Huber(reduction=None)(X[:, :1], model(X))
    return Scored(fit(model, X, X[:, :1], loss=keras.losses.Huber()), wanted)


@works("`CategoricalCrossentropy(label_smoothing=0.1)`")
def smoothed() -> Any:
    model, y = net(), np.eye(3, dtype=np.float32)[Y]
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    return Scored(fit(model, X, y, loss=loss), loss.call(tf.constant(y), model(X)))


@refused("a loss that nobody knows", "allowed are cross_entropy")
def unknown_loss() -> Any:
    fit(net(), X, Y, loss="cross_entrpy")


@works("an unshuffled `tf.data.Dataset` of batches")
def dataset() -> Any:
    return Scored(fit(net(), slices(X, Y)), plain())


@works("a `tf.data.Dataset` of single samples, with `prefetch` and `cache`")
def unbatched() -> Any:
    data = tf.data.Dataset.from_tensor_slices((X, Y)).cache().prefetch(2)
    return Scored(fit(net(), data), plain())


@works("a `tf.data.Dataset` of (x, y, sample_weight)", "weights are left out")
def weighted_dataset() -> Any:
    return Scored(fit(net(), slices(X, Y, np.ones(48, np.float32))), plain())


@works("`(x, y, sample_weight)`, arrays", "weights are left out")
def weights() -> Any:
    return Scored(fit(net(), (X, Y, np.ones(48, np.float32))), plain())


class Own(keras.Model):
    """A subclassed model, of one input or of a list of two."""

    def __init__(self) -> None:
        super().__init__()
        keras.utils.set_random_seed(0)
        self.head = layers.Dense(3, activation="softmax")

    def call(self, x: Any) -> Any:
        return self.head(keras.ops.concatenate(x, 1) if isinstance(x, list | tuple) else x)


@works("`(x, y, sample_weight)`, a subclassed model", "weights are left out")
def subclassed_weights() -> Any:
    model = Own()
    model(X[:1])
    return Scored(fit(model, (X, Y, np.ones(48, np.float32))), plain(model))


@works("a `tf.data.Dataset` of them, a subclassed model", "weights are left out")
def subclassed_weighted_dataset() -> Any:
    model = Own()
    model(X[:1])
    return Scored(fit(model, slices(X, Y, np.ones(48, np.float32))), plain(model))


@works("`(x1, x2, y)`, a subclassed model of a list of two")
def subclassed_two() -> Any:
    model = Own()
    expected = plain(model, [X[:, :2], X[:, 2:]])
    return Scored(fit(model, (X[:, :2], X[:, 2:], Y)), expected)


@refused("a shuffled `tf.data.Dataset`", "leave shuffle out")
def shuffled() -> Any:
    fit(net(), tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(48).batch(16))


@refused("a `tf.data.Dataset` that repeats", "leave repeat() out")
def repeated() -> Any:
    fit(net(), slices(X, Y).repeat())


@refused("a `tf.data.Dataset` of unknown length", "assert_cardinality")
def unknown_length() -> Any:
    fit(net(), slices(X, Y).unbatch().filter(lambda x, y: True))


def pictures(folder: str) -> None:
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (Path(folder) / name).mkdir()
        for i in range(6):
            keras.utils.save_img(
                Path(folder) / name / f"{i}.png", rng.integers(0, 255, (8, 8, 3)), scale=False
            )


def convolutional() -> Any:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3),
         layers.Flatten(), layers.Dense(2, activation="softmax")]
    )  # fmt: skip


@works("`image_dataset_from_directory(…, shuffle=False)`")
def folder() -> Any:
    with tempfile.TemporaryDirectory() as place:
        pictures(place)
        data = keras.utils.image_dataset_from_directory(
            place, image_size=(8, 8), shuffle=False, batch_size=5, verbose=False
        )
        x = np.concatenate([part for part, _ in data.as_numpy_iterator()])
        found = fit(convolutional(), data)
    return Scored(found, plain(convolutional(), x, np.repeat([0, 1], 6)))


@refused("`image_dataset_from_directory(…)`, which shuffles", "shuffle=False")
def shuffled_folder() -> Any:
    with tempfile.TemporaryDirectory() as place:
        pictures(place)
        data = keras.utils.image_dataset_from_directory(
            place, image_size=(8, 8), batch_size=5, verbose=False
        )
        fit(convolutional(), data)


def two_inputs() -> Any:
    keras.utils.set_random_seed(0)
    left, right = keras.Input((2,), name="left"), keras.Input((2,), name="right")
    out = layers.Dense(3, activation="softmax")(layers.Concatenate()([left, right]))
    return left, right, out


@works("two inputs, `(x1, x2, y)`")
def several() -> Any:
    left, right, out = two_inputs()
    model = keras.Model([left, right], out)
    return Scored(fit(model, (X[:, :2], X[:, 2:], Y)), plain(lambda x: model([x[:, :2], x[:, 2:]])))


@works('inputs as a dict, `fit(model, {"left": …, "right": …}, y)`')
def dict_inputs() -> Any:
    left, right, out = two_inputs()
    model = keras.Model({"left": left, "right": right}, out)
    parts = {"left": X[:, :2], "right": X[:, 2:]}
    return Scored(fit(model, parts, Y), plain(lambda x: model(parts)))


@works("a `tf.data.Dataset` of ({…}, y)")
def dict_dataset() -> Any:
    left, right, out = two_inputs()
    model = keras.Model({"left": left, "right": right}, out)
    parts = {"left": X[:, :2], "right": X[:, 2:]}
    return Scored(fit(model, slices(parts, Y)), plain(lambda x: model(parts)))


@works("a dict with an entry that the model does not take", "left out: id")
def extra_entry() -> Any:
    left, right, out = two_inputs()
    model = keras.Model({"left": left, "right": right}, out)
    parts = {"left": X[:, :2], "right": X[:, 2:]}
    return Scored(fit(model, {**parts, "id": Y}, Y), plain(lambda x: model(parts)))


def two_heads() -> Any:
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    body = layers.Dense(8, activation="tanh")(x)
    kind = layers.Dense(3, activation="softmax", name="kind")(body)
    return keras.Model(x, [kind, layers.Dense(1, name="size")(body)])


@refused("a model with two outputs", "keras.Model(model.inputs, model.outputs[0])")
def outputs() -> Any:
    fit(two_heads(), X, Y)


@works("the chosen output, `keras.Model(model.inputs, model.outputs[0])`")
def head() -> Any:
    model = two_heads()
    one = keras.Model(model.inputs, model.outputs[0])
    return Scored(fit(one, X, Y), plain(one))


@works("a model with two outputs, `loss=` a function of one")
def head_by_loss() -> Any:
    model = two_heads()
    cross = keras.losses.sparse_categorical_crossentropy
    found = fit(model, X, Y, loss=lambda out, y: cross(y, out[0]))
    return Scored(found, plain(lambda x: model(x)[0]))


@works("a subclassed model that was called once")
def subclassed() -> Any:
    model = Own()
    model(X[:1])
    return Scored(fit(model, X, Y), plain(model))


@refused("a model without weights yet", "call the model on one batch first")
def unbuilt() -> Any:
    fit(keras.Sequential([layers.Dense(3)]), X, Y)


@works("BatchNormalization and Dropout")
def modes() -> Any:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(8), layers.BatchNormalization(), layers.Dropout(0.5),
         layers.Dense(3, activation="softmax")]
    )  # fmt: skip
    return Scored(fit(model, X, Y), plain(model))


@works("frozen layers")
def frozen() -> Any:
    model = net()
    model.layers[0].trainable = False
    return Scored(fit(model, X, Y), plain())


@refused("a model whose layers are all frozen", "set trainable=True")
def all_frozen() -> Any:
    model = net()
    model.trainable = False
    fit(model, X, Y)


@works("a `tf.Module`")
def module() -> Any:
    class Own(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = tf.Variable(np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32))

        def __call__(self, x: Any) -> Any:
            return x @ self.w

    model = Own()
    return Scored(fit(model, X, Y), plain(lambda x: tf.nn.softmax(model(x))))


@refused("inputs of another width", "the model cannot take this batch")
def width() -> Any:
    fit(net(), X[:, :3], Y)


@refused("labels outside the classes", "the model's 3 classes")
def outside() -> Any:
    fit(net(), X, Y + 1)


@refused("NaN in the targets", "first at position 5")
def nan_targets() -> Any:
    y = X[:, 0].copy()
    y[5] = np.nan
    fit(net(1, None), X, y, loss="mse")


@refused("NaN in the targets, a `tf.data.Dataset`", "first at position 5")
def nan_in_dataset() -> Any:
    y = X[:, 0].copy()
    y[5] = np.nan
    fit(net(1, None), slices(X, y), loss="mse")


@refused("samples whose label is −100", "leave those samples out")
def ignored() -> Any:
    fit(net(), X, np.where(Y == 2, -100, Y))


@refused("a generator", "give list(data)")
def generator() -> Any:
    fit(net(), ((X[i : i + 8], Y[i : i + 8]) for i in range(0, 48, 8)))


@works("a list of batches")
def batches() -> Any:
    return Scored(fit(net(), [(X[:30], Y[:30]), (X[30:], Y[30:])]), plain())


@works("the README's example with a compiled Keras model")
def readme() -> None:
    model = net(loss="sparse_categorical_crossentropy", optimizer=keras.optimizers.Adam(0.05))
    model.fit(X, Y, epochs=10, verbose=0)
    follow_the_readme(model, X, Y)
