"""What cannot be used, and the one sentence that says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

import gexcore as gx
from gexcore.backend.data import as_dataset
from gexcore.backend.optimizer import Optimizer
from gexcore.errors import InvalidDataError, InvalidModelError
from gexcore_jax import JaxModel
from gexcore_jax.backend import JaxBackend

# this process alone: the package never touches JAX's configuration
jax.config.update("jax_enable_x64", True)

X = np.random.default_rng(0).normal(size=(16, 5)).astype(np.float32)
Y = np.arange(16) % 3
BATCH = (X, Y)
WEIGHTS = np.ones((5, 3), np.float32)


def linear(params: Any, x: Any) -> Any:
    return x @ params


def stepped(backend: JaxBackend) -> None:
    backend.sgd_step(backend.initial_state(), BATCH, lr=0.1, seed=0)


def returns(value: Any) -> JaxBackend:
    """A model that returns something else, and one parameter."""
    return JaxBackend(
        JaxModel(
            lambda params, buffers, x, *, training, key: value(params, buffers, x),
            np.ones(3),
            np.zeros(2),
        )
    )


def deleted() -> jax.Array:
    array = jnp.ones((5, 3))
    array.delete()
    return array


def stateful() -> eqx.Module:
    return eqx.nn.make_with_state(eqx.nn.BatchNorm)(3, "batch", mode="batch")[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: JaxBackend(3), "does not take int; give"),
        (lambda: JaxBackend((linear, {})), "tuple has no trainable parameters; give one with"),
        (lambda: JaxBackend((linear, {"w": WEIGHTS, "n": np.array(3)})),
            r"hold int64 at \['n'\], and only floating-point"),
        (lambda: JaxBackend((linear, {"w": "x"})), r"the parameters hold <U1 at \['w'\]"),
        (lambda: JaxBackend((linear, {"w": deleted()})),
            r"the array at \['w'\] of the model was deleted, .*give what the last step returned"),
        (lambda: JaxBackend(JaxModel(linear, WEIGHTS, {"mean": deleted()})),
            r"the array at \['mean'\] of the model was deleted"),
        (lambda: JaxBackend((linear, jax.eval_shape(lambda: {"w": jnp.ones(3)}))),
            r"a shape without values at \['w'\], .*give trained arrays"),
        (lambda: JaxBackend((linear, {"params": WEIGHTS, "batch_stats": WEIGHTS})),
            "collections batch_stats beside 'params'"),
        (lambda: JaxBackend(linen.Dense(3)),
            r"Dense is a Linen module, .*give \(module, variables\)"),
        (lambda: JaxBackend((linen.Dense(3), WEIGHTS)),
            "the variables of Dense have no collection 'params'; give what module.init"),
        (lambda: JaxBackend(stateful()), r"BatchNorm has layers with state.*\(module, state\)"),
        (lambda: JaxBackend(JaxModel(linear, WEIGHTS, ["text"])),
            r"the buffers hold str at \[0\], and only arrays"),
        (lambda: JaxBackend((linear, WEIGHTS), optimizer=Optimizer(name="lion")),
            "no optimizer named 'lion'; allowed are"),
        (lambda: JaxBackend((linear, WEIGHTS), optimizer=Optimizer(name=lambda lr: lr)),
            "must return an optax.GradientTransf"),
        (lambda: stepped(returns(lambda p, b, x: x * p.sum())),
            "apply returned .*Tracer; that of a JaxModel must"),
        (lambda: stepped(returns(lambda p, b, x: (x * p.sum(), b[:1]))),
            "apply returned buffers of another structure"),
        (lambda: stepped(returns(lambda p, b, x: ((x, p), b))),
            "the model returned tuple, and cross_entropy needs"),
        (lambda: gx.Loss().fit((lambda p, x: (x @ p, 1.0), WEIGHTS), X[:5], Y[:5], progress=False),
            "the model returned tuple, and cross_entropy needs"),
        (lambda: returns(lambda p, b, x: ((x, p), b)).logits(returns(None).initial_state(), BATCH),
            "tuple, which has no logits"),
    ],
)  # fmt: skip
def test_models_that_cannot_be_used(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidModelError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b, s: b.forward(s, X), "a batch of type ndarray has no target; give"),
        (lambda b, s: b.forward(s, {"x": X}), "a batch of type dict has no target"),
        (lambda b, s: b.forward(s, (X, Y.astype(str))),
            "holds values of type <U21, and JAX takes arrays of numbers only"),
        (lambda b, s: b.forward(s, (X[:5], Y[:4])),
            r"labels of shape \(4,\) for scores of shape \(5, 3\)"),
        (lambda b, s: b.training_losses(s, (X, Y[:4]), seed=0),
            r"labels of shape \(4,\) for scores of shape \(16, 3\)"),
        (lambda b, s: b.forward(s, (X, Y + 1)),
            "label 3 is outside 0 … 2, the 3 classes of the model; recode the labels"),
        (lambda b, s: b.refresh_buffers(s, []), "no batches to estimate"),
        (lambda b, s: b.stack([]), "no states to stack; give at least one"),
        (lambda b, s: b.jvp(s, np.ones(4), BATCH), r"has shape \(15,\) for this model, not \(4,\)"),
        (lambda b, s: b.unravel(s, np.ones((15, 1))),
            r"not \(15, 1\); take one of the size that ravel gives"),
        (lambda b, s: as_dataset((jnp.asarray(X), jnp.asarray(Y[:4])), b), "unequal lengths"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_used(call: Callable[[JaxBackend, Any], object], message: str) -> None:
    backend = JaxBackend((linear, WEIGHTS))
    with pytest.raises(InvalidDataError, match=message):
        call(backend, backend.initial_state())


def test_test_data_that_the_model_cannot_take_are_told() -> None:
    x, y, model = X, Y, (linear, WEIGHTS)
    method = gx.GEX(chains=1, snapshots=2, steps_per_snapshot=1, lr=0.01)
    found = method.fit(model, (x, y), progress=False)
    wrong = {
        r"the model cannot take this batch of the data": (x[:, :3], y),
        r"label 3 is|first at position 2; give labels of the model's classes": (x, y + 1),
    }
    for told, test in wrong.items():
        with pytest.raises(InvalidDataError, match=told):
            found.influence(test)
        with pytest.raises(InvalidDataError, match=told):
            method.fit(model, (x, y), test=test, progress=False)
