"""Compiled functions that do not depend on the size of a batch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from gexcore.errors import InvalidModelError

UNSEEDED = (
    "Multinomial",
    "ParameterizedTruncatedNormal",
    "RandomGamma",
    "RandomPoisson",
    "RandomShuffle",
    "RandomStandardNormal",
    "RandomUniform",
    "RngReadAndSkip",
    "TruncatedNormal",
)
"""First parts of the names of operations that draw from their own generators."""

OUT_OF_REACH = (
    "the model has variables that gexcore cannot put others in place of; take tf.function off its "
    "call methods, since the whole pass is compiled anyway, and make a tf.Variable a weight with "
    "add_weight"
)


class Traced:
    """A function of a batch and of tensors with fixed shapes, traced once per kind of batch.

    The size of a batch is left open, so that the ragged last batch is no new kind. Another
    dimension, such as the length of a sequence, is left open from its second value on.

    Parameters
    ----------
    function : callable
        ``function(batch, *fixed)`` of nested tensors to nested tensors.
    variables : sequence of tf.Variable
        The only variables that it may use.
    """

    def __init__(self, function: Callable[..., Any], variables: Sequence[Any] = ()) -> None:
        # Keras also does not convert the code of models
        self._function = tf.function(function, autograph=False)
        self._allowed = {id(v) for v in variables}
        self._ready: dict[str, Any] = {}
        self._widest: dict[str, tuple[Any, Any]] = {}
        self._lock = threading.Lock()

    def __call__(self, batch: Any, *fixed: Any) -> Any:
        """The result of the function, which is traced first if needed.

        Raises
        ------
        InvalidModelError
            If the model has variables or random numbers that gexcore cannot control.
        """
        # a call of a concrete function takes half the time of tf.function's search for it
        kind = _kind(batch, lambda tensor: str(tensor.shape[1:]))
        concrete = self._ready.get(kind)
        if concrete is None:
            with self._lock:
                concrete = self._ready[kind] = self._found(batch, fixed)
        try:
            return concrete(batch, *fixed)
        except TypeError as error:
            if "out of scope" not in str(error):
                raise
            raise InvalidModelError(OUT_OF_REACH) from error

    def _found(self, batch: Any, fixed: Any) -> Any:
        family = _kind(batch, lambda tensor: str(tensor.shape.rank))
        specs = tf.nest.map_structure(_open_spec, batch)
        if family in self._widest:
            known, concrete = self._widest[family]
            specs = tf.nest.map_structure(
                lambda a, b: a.most_specific_common_supertype([b]), known, specs
            )
            if specs == known:
                return concrete
        concrete = self._function.get_concrete_function(
            specs, *tf.nest.map_structure(tf.TensorSpec.from_tensor, fixed)
        )
        if any(id(v) not in self._allowed for v in concrete.graph.variables):
            raise InvalidModelError(OUT_OF_REACH)
        _check_seeded(concrete.graph)
        self._widest[family] = specs, concrete
        return concrete


def _kind(batch: Any, shape: Callable[[Any], str]) -> str:
    # not by tf.nest.map_structure, which takes longer than a small network
    if isinstance(batch, Mapping):
        return str({name: _kind(batch[name], shape) for name in sorted(batch)})
    if isinstance(batch, list | tuple):
        return str([_kind(part, shape) for part in batch])
    return f"{batch.dtype.name} {shape(batch)}"


def _open_spec(tensor: tf.Tensor) -> tf.TensorSpec:
    return tf.TensorSpec([None, *tensor.shape[1:]] if tensor.shape.rank else [], tensor.dtype)


def _check_seeded(graph: Any) -> None:
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(node for f in definition.library.function for node in f.node_def)]
    found = sorted({node.op for node in nodes if node.op.startswith(UNSEEDED)})
    if found:
        msg = (
            f"the model draws random numbers that no seed can reach ({', '.join(found)}); "
            "use Keras layers, keras.random with a SeedGenerator, or tf.random.stateless_* "
            "with a fixed seed"
        )
        raise InvalidModelError(msg)
