"""What users of JAX pass: plain functions, Flax, Equinox and Haiku."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import grain
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from flax import linen, nnx
from flax.training.train_state import TrainState

from gexcore_jax import JaxModel
from tests.situations.registry import FINAL, Scored, Situations, blobs, fit, follow_the_readme

SITUATIONS = Situations("JAX")
works, refused = SITUATIONS.works, SITUATIONS.refused

X, Y = blobs()
W = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
BINARY = (Y == 0).astype(np.float32)


def apply(params: Any, x: Any) -> Any:
    return x @ params["w"]


PAIR: Any = (apply, {"w": W})


def plain(scores: Any = None, y: Any = Y) -> Any:
    scores = X @ W if scores is None else np.asarray(scores)
    return np.asarray(optax.softmax_cross_entropy_with_integer_labels(jnp.asarray(scores), y))


@works("`(apply, params)`, NumPy arrays")
def arrays() -> Any:
    return Scored(fit(PAIR, X, Y), plain())


@works("arrays of JAX")
def jax_arrays() -> Any:
    return Scored(fit(PAIR, (jnp.asarray(X), jnp.asarray(Y))), plain())


@works('`fit(model, frame, label="species")`, labels that are words')
def frame() -> Any:
    names = np.array(["ant", "bee", "cat"])[Y]
    table = pd.DataFrame(X, columns=list("abcd")).assign(species=names)
    return Scored(fit(PAIR, table, label="species"), plain())


@works("labels as a column, shape (N, 1)")
def column() -> Any:
    return Scored(fit(PAIR, jnp.asarray(X), jnp.asarray(Y)[:, None]), plain())


@works("labels as one-hot rows")
def one_hot() -> Any:
    return Scored(fit(PAIR, X, np.eye(3, dtype=np.float32)[Y]), plain())


@works("a list of batches `[(x, y), …]`")
def batches() -> Any:
    return Scored(fit(PAIR, [(X[:30], Y[:30]), (X[30:], Y[30:])]), plain())


@works('a list of dict batches `[{"x": …, "label": …}, …]`')
def dict_batches() -> Any:
    parts = [slice(0, 30), slice(30, None)]
    return Scored(fit(PAIR, [{"x": X[p], "label": Y[p]} for p in parts]), plain())


@works("a dict batch as the one argument, `apply(params, batch)`")
def whole_batch() -> Any:
    def read(params: Any, batch: Any) -> Any:
        return jnp.concatenate([batch["left"], batch["right"]], 1) @ params

    data = {"left": X[:, :2], "right": X[:, 2:], "label": Y}
    return Scored(fit((read, W), data), plain())


@works("a dict with an entry that the model does not take", "left out: id")
def extra() -> Any:
    return Scored(fit(PAIR, {"x": X, "label": Y, "id": Y}), plain())


@works("two inputs, `(x1, x2, y)`")
def two() -> Any:
    model = (lambda p, a, b: jnp.concatenate([a, b], 1) @ p, W)
    return Scored(fit(model, (X[:, :2], X[:, 2:], Y)), plain())


@works("`(x, y, weights)`", "weights are left out")
def weights() -> Any:
    return Scored(fit(PAIR, (X, Y, np.ones(48, np.float32))), plain())


@works("an object with `__len__` and `__getitem__`")
def duck() -> Any:
    class Duck:
        def __len__(self) -> int:
            return 48

        def __getitem__(self, i: int) -> Any:
            return X[i], Y[i]

    return Scored(fit(PAIR, Duck()), plain())


@refused("a generator of batches", "give list(data)")
def generator() -> Any:
    fit(PAIR, ((X[i : i + 8], Y[i : i + 8]) for i in range(0, 48, 8)))


class Source:
    """Samples by position, as Grain reads them."""

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, position: Any) -> Any:
        return X[position], Y[position]


@works("a `grain.MapDataset`")
def grain_map() -> Any:
    return Scored(fit(PAIR, grain.MapDataset.source(Source())), plain())


@works("a `grain.MapDataset` of batches")
def grain_batches() -> Any:
    return Scored(fit(PAIR, grain.MapDataset.source(Source()).batch(8)), plain())


@refused("a shuffled `grain.MapDataset`", "leave shuffle() and repeat() out")
def grain_shuffled() -> Any:
    fit(PAIR, grain.MapDataset.source(Source()).shuffle(seed=0).batch(8))


@refused("a `grain.MapDataset` that repeats", "leave shuffle() and repeat() out")
def grain_repeats() -> Any:
    fit(PAIR, grain.MapDataset.source(Source()).repeat())


def grain_loader() -> Any:
    order = grain.samplers.IndexSampler(
        len(X), grain.sharding.NoSharding(), shuffle=False, num_epochs=1, seed=0
    )
    return grain.DataLoader(
        data_source=Source(), sampler=order, operations=[grain.transforms.Batch(8)], worker_count=0
    )


@refused("a `grain.DataLoader`", "give list(data)")
def grain_stream() -> Any:
    fit(PAIR, grain_loader())


@works("`list(loader)` of a `grain.DataLoader`, as the sentence offers")
def grain_list() -> Any:
    return Scored(fit(PAIR, list(grain_loader())), plain())


@refused("a `grain.IterDataset`", "give list(data)")
def grain_iter() -> Any:
    fit(PAIR, grain.MapDataset.source(Source()).to_iter_dataset().batch(8))


@works("a `tf.data.Dataset`, for a model of JAX")
def tf_data() -> Any:
    import tensorflow as tf

    return Scored(fit(PAIR, tf.data.Dataset.from_tensor_slices((X, Y)).batch(16)), plain())


@refused("a shuffled `tf.data.Dataset`, for a model of JAX", "leave shuffle() and repeat() out")
def tf_data_shuffled() -> Any:
    import tensorflow as tf

    fit(PAIR, tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(48).batch(16))


@works("an NNX module")
def nnx_module() -> Any:
    model = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
    return Scored(fit(model, X, Y), plain(model(jnp.asarray(X))))


@works("an NNX module with BatchNorm and Dropout, left in training mode")
def nnx_modes() -> Any:
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(
        nnx.Linear(4, 8, rngs=rngs), nnx.BatchNorm(8, rngs=rngs), nnx.Dropout(0.5, rngs=rngs),
        nnx.Linear(8, 3, rngs=rngs),
    )  # fmt: skip
    found = fit(model, X, Y)
    model.eval()
    return Scored(found, plain(model(jnp.asarray(X))))


class Net(linen.Module):
    @linen.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        x = linen.BatchNorm(use_running_average=not train)(linen.Dense(8)(x))
        return linen.Dense(3)(linen.Dropout(0.5, deterministic=not train)(x))


@works("`(module, variables)` of Linen, with BatchNorm, dropout and `train=True` by default")
def linen_module() -> Any:
    module: Any = Net()
    variables = module.init(jax.random.key(0), X, train=False)
    return Scored(fit((module, variables), X, Y), plain(module.apply(variables, X, train=False)))


@works("`(module.apply, variables)` of Linen")
def linen_apply() -> Any:
    module: Any = linen.Dense(3)
    variables = module.init(jax.random.key(0), X)
    return Scored(fit((module.apply, variables), X, Y), plain(module.apply(variables, X)))


@works("a `TrainState`")
def train_state() -> Any:
    module: Any = linen.Dense(3)
    params = module.init(jax.random.key(0), X)["params"]
    state = TrainState.create(apply_fn=module.apply, params=params, tx=optax.adam(0.1))
    return Scored(fit(state, X, Y), plain(module.apply({"params": params}, X)))


@works("a `TrainState` with a field `batch_stats`")
def train_state_with_statistics() -> Any:
    class Own(TrainState):
        batch_stats: Any = None

    module: Any = Net()
    variables = module.init(jax.random.key(0), X, train=False)
    state = Own.create(
        apply_fn=module.apply, params=variables["params"], tx=optax.adam(0.1),
        batch_stats=variables["batch_stats"],
    )  # fmt: skip
    return Scored(fit(state, X, Y), plain(module.apply(variables, X, train=False)))


@refused("a Linen module without its variables", "give (module, variables)")
def bare_linen() -> Any:
    fit(linen.Dense(3), X, Y)


@works("an Equinox module")
def equinox_module() -> Any:
    model = eqx.nn.MLP(4, 3, 8, 1, key=jax.random.key(0))
    return Scored(fit(model, X, Y), plain(jax.vmap(model)(X)))


class Normalised(eqx.Module):
    first: Any
    norm: Any
    drop: Any

    def __init__(self, mode: str) -> None:
        self.first = eqx.nn.Linear(4, 3, key=jax.random.key(0))
        self.norm = eqx.nn.BatchNorm(3, axis_name="batch", mode=mode, momentum=0.9)
        self.drop = eqx.nn.Dropout(0.1)

    def __call__(self, x: Any, state: Any, *, key: Any = None) -> Any:
        x, state = self.norm(self.drop(self.first(x), key=key), state)
        return x, state


def equinox_state(mode: str) -> Any:
    model, state = eqx.nn.make_with_state(Normalised)(mode)
    keys = jax.random.split(jax.random.key(1), len(X))
    run = jax.vmap(
        lambda net, x, state, key: net(x, state, key=key),
        in_axes=(None, 0, None, 0), out_axes=(0, None), axis_name="batch",
    )  # fmt: skip
    for _ in range(3):
        _, state = run(model, X, state, keys)
    still = eqx.nn.inference_mode(model)
    expected = plain(run(still, X, state, keys)[0])
    return Scored(fit((model, state), X, Y), expected)


@works('`(module, state)` of Equinox with BatchNorm, `mode="ema"`')
def equinox_ema() -> Any:
    return equinox_state("ema")


@works('`(module, state)` of Equinox with BatchNorm, `mode="batch"`')
def equinox_batch() -> Any:
    return equinox_state("batch")


@refused("an Equinox module with BatchNorm, without its state", "give the tuple (module, state)")
def equinox_without_state() -> Any:
    fit(eqx.nn.make_with_state(Normalised)("ema")[0], X, Y)


def dense(x: Any) -> Any:
    return hk.Linear(3)(x)


@works("`(haiku.transform(f), params)`, with rng")
def haiku() -> Any:
    model = hk.transform(dense)
    params = model.init(jax.random.key(0), X)
    return Scored(fit((model, params), X, Y), plain(model.apply(params, None, X)))


@works("`(transformed.apply, params)` of Haiku, with rng")
def haiku_apply() -> Any:
    model = hk.transform(dense)
    params = model.init(jax.random.key(0), X)
    return Scored(fit((model.apply, params), X, Y), plain(model.apply(params, None, X)))


@works("`without_apply_rng(…).apply` of Haiku")
def haiku_without_rng() -> Any:
    model = hk.without_apply_rng(hk.transform(dense))
    params = model.init(jax.random.key(0), X)
    return Scored(fit((model.apply, params), X, Y), plain(model.apply(params, X)))


@works("`(haiku.transform_with_state(f), params, state)`, with BatchNorm and `is_training`")
def haiku_state() -> Any:
    def normalised(x: Any, is_training: bool) -> Any:
        return hk.BatchNorm(True, True, 0.9)(hk.Linear(3)(x), is_training)

    model = hk.transform_with_state(normalised)
    params, state = model.init(jax.random.key(0), X, True)
    _, state = model.apply(params, state, None, X, True)
    expected = plain(model.apply(params, state, None, X, False)[0])
    return Scored(fit((model, params, state), X, Y), expected)


@works("a model that ends in a softmax")
def softmax() -> Any:
    return Scored(fit((lambda p, x: jax.nn.softmax(x @ p), W), X, Y), plain())


def binary(scores: Any) -> Any:
    return np.asarray(optax.sigmoid_binary_cross_entropy(jnp.asarray(scores), BINARY))


@works('a model that ends in a sigmoid, `loss="binary_cross_entropy"`')
def sigmoid() -> Any:
    model = (lambda p, x: jax.nn.sigmoid(x @ p), W[:, 0])
    return Scored(fit(model, X, BINARY, loss="binary_cross_entropy"), binary(X @ W[:, 0]))


@works("the same where every label is wrong: the last operation tells, not the labels")
def sigmoid_of_wrong_labels() -> Any:
    given = (X @ W[:, 0] < 0).astype(np.float32)
    model = (lambda p, x: jax.nn.sigmoid(x @ p)[:, None], W[:, 0])
    found = fit(model, X, given, loss="binary_cross_entropy")
    wanted = optax.sigmoid_binary_cross_entropy(jnp.asarray(X @ W[:, 0]), given)
    return Scored(found, wanted)


@works("scores that lie in 0 … 1 by chance stay scores")
def weak() -> Any:
    small = np.abs(W[:, 0]) * 0.01
    x = np.abs(X)
    found = fit((lambda p, x: x @ p, small), x, BINARY, loss="binary_cross_entropy")
    return Scored(found, binary(x @ small))


@works('a regression, `loss="squared_error"`')
def regression() -> Any:
    found = fit((lambda p, x: x @ p, W[:, :1]), X, X[:, 0], loss="squared_error")
    return Scored(found, (X @ W[:, 0] - X[:, 0]) ** 2)


@works("`loss=optax.softmax_cross_entropy_with_integer_labels`")
def optax_loss() -> Any:
    found = fit(PAIR, X, Y, loss=optax.softmax_cross_entropy_with_integer_labels)
    return Scored(found, plain())


@works("a model that returns a tuple, `loss=` a function of it")
def returns_tuple() -> Any:
    cross = optax.softmax_cross_entropy_with_integer_labels
    model = (lambda p, x: (x @ p, x), W)
    return Scored(fit(model, X, Y, loss=lambda out, y: cross(out[0], y)), plain())


@refused("a model that returns a tuple, without `loss=`", "give loss= a function of that output")
def tuple_without_loss() -> Any:
    fit((lambda p, x: (x @ p, x), W), X, Y)


@refused("a loss with its mean", "leave the mean out")
def mean() -> Any:
    cross = optax.softmax_cross_entropy_with_integer_labels
    fit(PAIR, X, Y, loss=lambda out, y: cross(out, y).mean())


@refused("inputs of another width", "the model cannot take this batch")
def width() -> Any:
    fit(PAIR, X[:, :3], Y)


@refused("integers among the parameters", "move it to the buffers")
def integers() -> Any:
    fit((apply, {"w": W, "steps": np.array(3)}), X, Y)


@refused("the parameters alone", "give the model that holds the weights")
def alone() -> Any:
    fit({"w": W}, X, Y)


@refused("NaN in the targets", "first at position 5")
def nan_targets() -> Any:
    y = X[:, 0].copy()
    y[5] = np.nan
    fit((lambda p, x: x @ p, W[:, :1]), X, y, loss="squared_error")


@refused("samples whose label is −100", "leave those samples out")
def ignored() -> Any:
    fit(PAIR, X, np.where(Y == 2, -100, Y))


@works("labels of tokens, −100 where none is known")
def tokens() -> Any:
    x, y = X.reshape(12, 4, 4), Y.reshape(12, 4).copy()
    y[:, 0] = -100
    losses = plain(x[:, 1:].reshape(-1, 4) @ W, y[:, 1:].reshape(-1)).reshape(12, 3)
    return Scored(fit(PAIR, x, y), losses.mean(1))


@works("the same, `part_suspicion()`: NaN where none is known")
def parts_of_tokens() -> Any:
    x, y = X.reshape(12, 4, 4), Y.reshape(12, 4).copy()
    y[:, 0] = -100
    losses = plain(x[:, 1:].reshape(-1, 4) @ W, y[:, 1:].reshape(-1)).reshape(12, 3)
    found = FINAL.fit(PAIR, x, y, progress=False).part_suspicion()
    assert np.isnan(found[:, 0]).all()
    np.testing.assert_allclose(found[:, 1:], losses, rtol=1e-4)


@works("a `JaxModel`, for any other form")
def own_form() -> Any:
    def run(params: Any, buffers: Any, x: Any, *, training: bool, key: Any) -> Any:
        return x @ params, buffers

    return Scored(fit(JaxModel(run, W), X, Y), plain())


@works("the README's example with a `TrainState` of Linen")
def readme() -> None:
    module: Any = linen.Dense(3)
    params = module.init(jax.random.key(0), X)["params"]
    state = TrainState.create(apply_fn=module.apply, params=params, tx=optax.adam(0.1))

    def loss(values: Any) -> Any:
        scores = module.apply({"params": values}, X)
        return optax.softmax_cross_entropy_with_integer_labels(scores, Y).mean()

    for _ in range(20):
        state = state.apply_gradients(grads=jax.grad(loss)(state.params))
    follow_the_readme(state, X, Y)
