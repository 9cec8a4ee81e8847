"""A callback for Keras on TensorFlow."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from gexcore.callbacks.training import TrainingRecord
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.settings import check_count


class KerasRecord(keras.callbacks.Callback):  # type: ignore[misc]
    """Records the training of a Keras classifier as it runs: no pass of its own.

    `data` gives the batches, in a new random order each epoch. The outputs are those of the
    training step, so dropout is on. Keras must not shuffle the batches again.

    Parameters
    ----------
    x, y : arrays
        Inputs, and labels 0 … K − 1 of shape (samples,).
    batch_size : int
    every : int
        A checkpoint, a list of weights, is kept after each epoch that this divides. 0: none.
    probabilities : bool
        Whether the model ends in a softmax. Their logarithms are then the logits.
    seed : int
        Seed of the order.

    Attributes
    ----------
    data : tf.data.Dataset
        What ``fit`` trains on.
    record : TrainingRecord
        With ``record.recorder`` and ``record.checkpoints``.

    Examples
    --------
    ::

        record = KerasRecord(x, y, batch_size=32, every=1)
        model.fit(record.data, epochs=5, shuffle=False, callbacks=[record])
        AUM(recorder=record.recorder).fit()
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        *,
        batch_size: int = 32,
        every: int = 0,
        probabilities: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_count("batch_size", batch_size, auto=False)
        self._batches = _Batches(np.asarray(x), np.asarray(y), batch_size, seed)
        self.data = self._batches.dataset()
        self.record = TrainingRecord(len(self._batches.y), every=every)
        self._probabilities = probabilities
        self._kept: Any = None
        self._labels: Any = None
        self._step: Any = None

    @property
    def recorder(self) -> Any:
        """The recorder of the training."""
        return self.record.recorder

    @property
    def checkpoints(self) -> list[Any]:
        """The lists of weights that were kept."""
        return self.record.checkpoints

    def set_model(self, model: Any) -> None:
        """Let the training step leave its outputs behind.

        Raises
        ------
        InvalidSettingError
            If several steps run at once.
        """
        super().set_model(model)
        if getattr(model, "steps_per_execution", 1) != 1:
            raise InvalidSettingError(
                "steps_per_execution is above 1, and each step is recorded; leave it at 1"
            )
        self._original = computed = model.compute_loss

        def compute_loss(
            x: Any = None,
            y: Any = None,
            y_pred: Any = None,
            sample_weight: Any = None,
            training: bool = True,
        ) -> Any:
            if training:
                self._keep(y, y_pred)
            return computed(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)

        model.compute_loss = compute_loss
        model.train_function = None  # an old one would not call it

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Choose the order of the epoch, before its first batch is read."""
        self._batches.shuffle(epoch)
        if self._step is not None:
            self._step.assign(0)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Read the outputs of the epoch, and end the epoch of the record.

        Raises
        ------
        InvalidDataError
            If ``fit`` trains on other batches than those of `data`.
        """
        steps, order = int(self._step.numpy()), self._batches.order
        seen = order[: steps * self._batches.size]
        outputs, labels = (
            kept.numpy().reshape(-1, *kept.shape[2:])[: len(seen)]
            for kept in (self._kept, self._labels)
        )
        wanted = self._batches.y[seen]
        if steps > len(self._batches) or not np.array_equal(labels, wanted):
            raise InvalidDataError(
                "fit trains on other batches than the record gives; call fit(record.data, "
                "shuffle=False, callbacks=[record])"
            )
        if self._probabilities:
            outputs = np.log(np.maximum(outputs, np.finfo(outputs.dtype).tiny))
        self.record.batch(seen, logits=outputs, labels=wanted)
        self.record.epoch(self.model.get_weights())

    def on_train_end(self, logs: Any = None) -> None:
        """Leave the model as it was."""
        self.model.compute_loss = self._original
        self.model.train_function = None

    def _keep(self, y: Any, outputs: Any) -> None:
        """Keep what a step put out, in its own graph: the loop of Python does not wait for it."""
        batches, size = len(self._batches), self._batches.size
        if self._kept is None:
            with tf.init_scope():
                shape = (batches, size, *outputs.shape[1:])
                self._kept = tf.Variable(tf.zeros(shape, outputs.dtype), trainable=False)
                self._labels = tf.Variable(tf.zeros((batches, size), y.dtype), trainable=False)
                self._step = tf.Variable(0, trainable=False)
        outputs, y = outputs[:size], tf.reshape(y, [-1])[:size]  # larger batches are refused too
        rows = size - tf.shape(outputs)[0]
        padded = tf.pad(outputs, [[0, rows], *[[0, 0]] * (len(outputs.shape) - 1)])
        labels = tf.pad(y, [[0, rows]])
        at = tf.minimum(self._step, batches - 1)[None]  # more batches are refused at the end
        for kept, values in ((self._kept, padded), (self._labels, labels)):
            kept.scatter_update(tf.IndexedSlices(tf.reshape(values, (1, *kept.shape[1:])), at))
        self._step.assign_add(1)


class _Batches:
    """The training set in batches, in an order that the record knows."""

    def __init__(self, x: NDArray[Any], y: NDArray[Any], size: int, seed: int) -> None:
        self.x, self.y, self.size, self.seed = x, y, size, seed
        self._placed = tf.Variable(np.arange(len(y)), trainable=False)
        self.shuffle(0)

    def dataset(self) -> Any:
        """The batches of the epoch that has begun. Python takes no part in reading them."""
        order = tf.data.Dataset.from_tensors(0).map(lambda _: self._placed.read_value())
        batches = order.unbatch().batch(self.size)
        # the arrays travel beside the order: a graph holds no large constants
        arrays = tf.data.Dataset.from_tensors((self.x, self.y)).repeat()
        found = tf.data.Dataset.zip((batches, arrays)).map(
            lambda at, given: (tf.gather(given[0], at), tf.gather(given[1], at))
        )
        return found.apply(tf.data.experimental.assert_cardinality(len(self))).prefetch(1)

    def __len__(self) -> int:
        return -(-len(self.y) // self.size)

    def shuffle(self, epoch: int) -> None:
        """Choose the order of an epoch."""
        self.order = np.random.default_rng([self.seed, epoch]).permutation(len(self.y))
        self._placed.assign(self.order)
