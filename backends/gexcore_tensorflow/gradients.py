"""The gradient of every sample's loss, in evaluation mode."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from gexcore_tensorflow import curvature, vectors
from gexcore_tensorflow.data import Call
from gexcore_tensorflow.network import Network, Tensors
from gexcore_tensorflow.tracing import Traced

Evaluate = Callable[[Call, Any, Any], tf.Tensor]
"""A traced function from a batch, parameters and buffers to losses of shape (b,)."""

Route = Callable[[Call, Tensors, Tensors, NDArray[Any]], NDArray[Any]]
"""A route writes gradients into its last argument, (b, p), and returns the losses, (b,)."""

AT_ONCE = 2**26
"""The most numbers in gradients that are computed together: 256 MB in float32."""


class SampleGradients:
    """Gradients by the fastest route that works for the model. It is chosen once.

    Parameters
    ----------
    network : Network
    evaluate : callable
    variables : sequence of tf.Variable
        Variables of `Traced`.
    """

    def __init__(self, network: Network, evaluate: Evaluate, variables: Sequence[Any]) -> None:
        self._network = network
        self._evaluate = evaluate
        self._vectorised = Traced(self._of_samples, variables)
        self._single = Traced(self._of_one_loss, variables)
        self._routes: tuple[Route, ...] = (self._at_once, self._one_by_one, self._from_whole_batch)

    def __call__(
        self, call: Call, params: Tensors, buffers: Tensors, expected: NDArray[Any]
    ) -> NDArray[Any]:
        """Gradients of the samples, shape (b, p), in the order of `params`.

        Parameters
        ----------
        call : Call
        params, buffers : tuple of tensors
        expected : array
            Losses of the batch, shape (b,). A route with other losses is not taken.
        """
        dtype = np.result_type(*(p.dtype.as_numpy_dtype for p in params))
        out = np.empty((len(expected), sum(map(vectors.size, params))), dtype)
        # a wrong route is wrong by far, for models that mix samples or draw noise for the batch
        error = 1e-5 + 0.01 * float(np.abs(np.nan_to_num(expected, posinf=0.0, neginf=0.0)).max())
        *quick, sure = routes = self._routes
        for route in quick:
            try:
                found = route(call, params, buffers, out)
            except Exception:  # the last route raises the error of a wrong batch
                continue
            if np.allclose(found, expected, rtol=0.0, atol=error, equal_nan=True):
                self._routes = routes[routes.index(route) :]
                return out
        sure(call, params, buffers, out)
        self._routes = (sure,)
        return out

    def _at_once(
        self, call: Call, params: Tensors, buffers: Tensors, out: NDArray[Any]
    ) -> NDArray[Any]:
        size = max(1, AT_ONCE // out.shape[1])
        found = []
        for start in range(0, len(out), size):
            rows = slice(start, start + size)
            losses, grads = self._vectorised(_rows(call, rows, len(out)), params, buffers)
            _write(grads, out[rows])
            found.append(losses.numpy())
        return np.concatenate(found)

    def _one_by_one(
        self, call: Call, params: Tensors, buffers: Tensors, out: NDArray[Any]
    ) -> NDArray[Any]:
        first = tf.constant(0)
        found = []
        for i in range(len(out)):
            loss, grads = self._single(
                _rows(call, slice(i, i + 1), len(out)), params, buffers, first
            )
            _write(grads, out[i : i + 1])
            found.append(loss.numpy())
        return np.array(found)

    def _from_whole_batch(
        self, call: Call, params: Tensors, buffers: Tensors, out: NDArray[Any]
    ) -> NDArray[Any]:
        found = []
        for i in range(len(out)):
            loss, grads = self._single(call, params, buffers, tf.constant(i))
            _write(grads, out[i : i + 1])
            found.append(loss.numpy())
        return np.array(found)

    # from here on the code is traced

    def _of_samples(self, call: Call, params: Any, buffers: Any) -> Any:
        bound = self._network.bind(params)

        def one(sample: Call) -> Any:
            return self._gradient(
                tf.nest.map_structure(lambda row: row[tf.newaxis], sample), bound, buffers, 0
            )

        with _quiet():
            return tf.vectorized_map(one, call, warn=False)

    def _of_one_loss(self, call: Call, params: Any, buffers: Any, position: Any) -> Any:
        return self._gradient(call, self._network.bind(params), buffers, position)

    def _gradient(
        self, call: Call, bound: Any, buffers: Any, position: Any
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(bound)
            loss = self._evaluate(call, bound, buffers)[position]
        return loss, curvature.dense(tape.gradient(loss, bound, unconnected_gradients="zero"))


def _rows(call: Call, rows: slice, b: int) -> Any:
    """The call of these samples. Parts without one row per sample stay whole."""
    return tf.nest.map_structure(lambda t: t[rows] if t.shape.rank and t.shape[0] == b else t, call)


def _write(grads: Sequence[tf.Tensor], out: NDArray[Any]) -> None:
    np.concatenate([grad.numpy().reshape(len(out), -1) for grad in grads], axis=1, out=out)


@contextmanager
def _quiet() -> Iterator[None]:
    """A block without TensorFlow's warnings on loops: they are no slower than one over samples."""

    def wanted(record: logging.LogRecord) -> bool:
        return "while_loop" not in record.getMessage()

    logger = tf.get_logger()
    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)
