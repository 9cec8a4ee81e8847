"""The models in Keras."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from bench.nets import case
from bench.nets.case import Case
from gexcore_tensorflow.backend import TensorFlowBackend

layers = keras.layers


def dense() -> keras.Model:
    sizes = case.DENSE
    hidden = [layers.Dense(width, activation="relu") for width in sizes[1:-1]]
    return keras.Sequential([keras.Input((sizes[0],)), *hidden, layers.Dense(sizes[-1])])


def convolutional() -> keras.Model:
    stack = [keras.Input((case.IMAGE, case.IMAGE, 1))]
    for channels in case.CHANNELS:
        stack += [layers.Conv2D(channels, 3, 2, "same"), layers.BatchNormalization(), layers.ReLU()]
    return keras.Sequential([*stack, layers.Flatten(), layers.Dense(case.CLASSES)])


class Places(layers.Layer):
    """Adds a trained vector to each position."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.places = self.add_weight(shape=shape[1:], initializer="random_normal")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return x + self.places


def encoder() -> keras.Model:
    x = start = keras.Input((case.LENGTH,), dtype="int64")
    x = Places()(layers.Embedding(case.VOCABULARY, case.WIDTH)(x))
    for _ in range(case.BLOCKS):
        seen = layers.MultiHeadAttention(
            case.HEADS, case.WIDTH // case.HEADS, dropout=case.DROPOUT
        )(x, x)
        x = layers.LayerNormalization()(x + layers.Dropout(case.DROPOUT)(seen))
        inner = layers.Dropout(case.DROPOUT)(layers.Dense(case.HIDDEN, activation="relu")(x))
        x = layers.LayerNormalization()(
            x + layers.Dropout(case.DROPOUT)(layers.Dense(case.WIDTH)(inner))
        )
    return keras.Model(start, layers.Dense(case.CLASSES)(layers.GlobalAveragePooling1D()(x)))


def cases() -> Iterator[Case]:
    keras.utils.set_random_seed(0)
    for name, model, x in (
        ("dense", dense(), case.vectors()),
        ("conv + BatchNorm", convolutional(), case.images()),
        ("transformer encoder", encoder(), case.tokens()),
    ):
        yield by_hand(name, model, x)


def by_hand(name: str, model: keras.Model, inputs: np.ndarray) -> Case:
    backend = TensorFlowBackend(model)
    x, y = inputs, case.labels()
    optimizer = keras.optimizers.SGD(0.0, momentum=0.9)
    optimizer.build(model.trainable_variables)
    kinds = [tf.TensorSpec([None, *array.shape[1:]], array.dtype) for array in (x, y)]

    @tf.function(input_signature=kinds)
    def losses(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(y, model(x, training=False))

    @tf.function(input_signature=kinds)
    def train(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(y, model(x, training=True))
            )
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    return Case(name, backend, (x, y), lambda: losses(x, y).numpy(), lambda: train(x, y).numpy())
