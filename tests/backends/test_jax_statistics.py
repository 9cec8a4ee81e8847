"""Per-sample gradients, features and Kronecker factors against the same by brute force."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gexcore.backend.drawing import sample_targets
from gexcore.errors import InvalidDataError, InvalidModelError, InvalidSettingError
from gexcore_jax import JaxModel, gradients, kronecker
from gexcore_jax.backend import JaxBackend

# this process alone: the package never touches JAX's configuration
jax.config.update("jax_enable_x64", True)

B = 4
RNG = np.random.default_rng(0)
Y = np.arange(B) % 3
X = RNG.normal(size=(B, 5))
IMAGES = RNG.normal(size=(B, 7, 6, 2))
SERIES = RNG.normal(size=(B, 8, 5))

Apply = Callable[[Any, Any], Any]


@pytest.fixture(scope="module", autouse=True)
def quick_compilation() -> Iterator[None]:
    """Compiling is what these tests spend their time on."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def weights(**shapes: tuple[int, ...]) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=shape) / np.sqrt(shape[0]) for name, shape in shapes.items()}


def single(scores: Any, label: Any) -> Any:
    return -jax.nn.log_softmax(scores)[label]


def by_hand(apply: Apply, params: Any, x: Any, y: Any = Y) -> np.ndarray[Any, Any]:
    """One gradient after the other."""
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    gradient = jax.jit(
        jax.grad(lambda v, i: single(apply(unravel(v), x[i][None])[0], y[i])), static_argnums=1
    )
    return np.stack([gradient(flat, i) for i in range(len(y))])


def conv(
    x: Any,
    w: Any,
    layout: str = "NHWC,HWIO,NHWC",
    strides: Any = (1, 1),
    padding: Any = "VALID",
    **more: Any,
) -> Any:
    return jax.lax.conv_general_dilated(
        x, w, strides, padding, dimension_numbers=layout.split(","), **more
    )


def channels_first(x: Any) -> Any:
    return jnp.moveaxis(x, -1, 1)


def dense(p: Any, x: Any) -> Any:
    return x @ p["w"] + p["b"]


def weight_on_the_left(p: Any, x: Any) -> Any:
    return (p["w"].T @ x.T + p["b"][:, None]).T


def without_bias(p: Any, x: Any) -> Any:
    return x @ p["w"]


def shared_over_a_series(p: Any, x: Any) -> Any:
    return p["b"] + jnp.einsum("bti,io->bto", x, p["w"])


def of_two_axes(p: Any, x: Any) -> Any:
    out = jnp.tensordot(x, p["w"], ((1, 2), (1, 0))) + p["b"]
    return out.reshape(len(x), -1)


def wrapped(p: Any, x: Any) -> Any:
    weight = jnp.asarray(jnp.asarray(p["w"], jnp.float32), jnp.float64)
    return jax.checkpoint(jax.jit(lambda x: jax.vmap(lambda row: weight.T @ row)(x)))(x) + p[
        "b"
    ].reshape(1, 3)


def convolution(p: Any, x: Any) -> Any:
    return conv(x, p["w"]) + p["b"]


def strided_convolution(p: Any, x: Any) -> Any:
    out = conv(channels_first(x), p["w"], "NCHW,OIHW,NCHW", (2, 1), "SAME") + p["b"][:, None, None]
    return jnp.moveaxis(out, 1, -1)


def dilated_convolution(p: Any, x: Any) -> Any:
    return conv(x, p["w"], padding=((2, 0), (1, 3)), rhs_dilation=(2, 1)) + p["b"]


def transposed_convolution(p: Any, x: Any) -> Any:
    return (
        jax.lax.conv_transpose(
            x, p["w"], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        + p["b"]
    )


def convolution_of_series(p: Any, x: Any) -> Any:
    return conv(x, p["w"], "NWC,WIO,NWC", (2,), "SAME") + p["b"]


def vectorised_convolution(p: Any, x: Any) -> Any:
    def one(image: Any) -> Any:
        out = conv(image[None], p["w"], "NCHW,OIHW,NCHW")[0]
        return out + p["b"].reshape(3, 1, 1)

    return jnp.moveaxis(jax.vmap(one)(channels_first(x)), 1, -1)


# from parameters w and b, and inputs, to outputs whose channels come last
KINDS: dict[Apply, Any] = {
    dense: (X, (5, 3)),
    weight_on_the_left: (X, (5, 3)),
    without_bias: (X, (5, 3)),
    shared_over_a_series: (SERIES, (5, 3)),
    of_two_axes: (SERIES, (5, 8, 1, 3)),
    wrapped: (X, (5, 3)),
    convolution: (IMAGES, (3, 2, 2, 3)),
    strided_convolution: (IMAGES, (3, 2, 3, 2)),
    dilated_convolution: (IMAGES, (3, 2, 2, 3)),
    transposed_convolution: (IMAGES, (3, 2, 2, 3)),
    convolution_of_series: (SERIES, (3, 5, 3)),
    vectorised_convolution: (IMAGES, (3, 2, 3, 2)),
}


@pytest.mark.parametrize("layer", KINDS)
def test_factors_are_those_of_the_definition(layer: Apply) -> None:
    x, shape = KINDS[layer]
    bias = {} if layer is without_bias else {"b": (3,)}
    params = weights(**bias, w=shape)
    size = layer(params, x)[0].size
    params["head"] = RNG.normal(size=(size, 3))

    def scores(p: Any, x: Any, shift: Any) -> Any:
        return jnp.tanh(layer(p, x) + shift).reshape(len(x), -1) @ p["head"]

    backend = JaxBackend((lambda p, x: scores(p, x, 0.0), params))
    state = backend.initial_state()
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    blocks = {block.name: block for block in backend.kronecker(state, (x, Y), seed=None)}
    assert list(blocks) == ["head", "w"]
    block = blocks["w"]

    outputs = layer(params, x)
    places = outputs[0].size // 3
    # entry (n, t, r) of the output, by the weights that it is made of
    slopes = np.asarray(jax.jacobian(lambda v: layer(unravel(v), x))(flat)).reshape(
        B, places, 3, -1
    )
    entering = np.stack([slopes[:, :, r, row] for r, row in enumerate(block.positions)])
    for r in (1, 2):
        np.testing.assert_allclose(entering[r], entering[0], atol=1e-6)
    assert np.count_nonzero(slopes) == np.count_nonzero(entering)
    a = entering[0]

    def total(shift: Any) -> Any:
        return jax.vmap(single)(scores(params, x, shift), Y).sum()

    s = np.asarray(jax.grad(total)(jnp.zeros_like(outputs))).reshape(B, places, 3)
    np.testing.assert_allclose(block.inputs, np.einsum("nti,ntj->ij", a, a) / B, atol=1e-6)
    np.testing.assert_allclose(
        block.outputs, np.einsum("nto,ntp->op", s, s) / (B * places), atol=1e-6
    )
    rows = backend.sample_gradients(state, (x, Y))
    np.testing.assert_allclose(rows, by_hand(lambda p, x: scores(p, x, 0.0), params, x), atol=1e-6)
    np.testing.assert_allclose(rows[:, block.positions], np.einsum("nto,nti->noi", s, a), atol=1e-6)


def test_a_convolution_in_one_place_has_exact_factors() -> None:
    params = weights(b=(3,), w=(7, 6, 2, 3))
    backend = JaxBackend((lambda p, x: (conv(x, p["w"]) + p["b"])[:, 0, 0], params))
    for i in range(B):
        batch = IMAGES[i : i + 1], Y[i : i + 1]
        (row,) = np.asarray(backend.sample_gradients(backend.initial_state(), batch))
        (block,) = backend.kronecker(backend.initial_state(), batch, seed=None)
        assert block.positions.shape == (3, 85)
        g = row[block.positions.ravel()]
        np.testing.assert_allclose(np.kron(block.outputs, block.inputs), np.outer(g, g), atol=1e-12)


def test_a_large_convolution_is_unfolded_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    params = weights(b=(3,), w=(3, 2, 2, 3), head=(3, 3))

    def apply(p: Any, x: Any) -> Any:
        return jnp.tanh(conv(x, p["w"]) + p["b"]).mean((1, 2)) @ p["head"]

    found = []
    for at_once in (kronecker.AT_ONCE, 2 * 25 * 13, 1):
        monkeypatch.setattr(kronecker, "AT_ONCE", at_once)
        backend = JaxBackend((apply, params))
        found.append(backend.kronecker(backend.initial_state(), (IMAGES, Y), seed=None)[1].inputs)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-12)


@jax.custom_vjp
def reversed_gradient(x: Any) -> Any:
    return x


reversed_gradient.defvjp(lambda x: (x, None), lambda _, g: (-3.0 * g,))


@jax.custom_vjp
def own_product(x: Any, w: Any) -> Any:
    return x @ w


own_product.defvjp(lambda x, w: (x @ w, (x, w)), lambda r, g: (2.0 * g @ r[1].T, 2.0 * r[0].T @ g))


def scanned(p: Any, x: Any) -> Any:
    return jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, p["stack"])[0] @ p["head"]


SHAPES = {"w": (5, 5), "b": (5,), "head": (5, 3)}


@pytest.mark.parametrize(
    ("apply", "shapes", "expected"),
    [
        # what else the output is used for goes past the bias
        (lambda p, x: (jax.nn.relu((h := x @ p["w"]) + p["b"]) + h) @ p["head"], SHAPES,
            {"w": 5, "head": 5}),
        (lambda p, x: (jnp.tanh(x @ p["w"] + p["b"]) + p["b"]) @ p["head"], SHAPES,
            {"w": 5, "head": 5}),
        (lambda p, x: jnp.tanh(x @ p["w"] + 2 * p["b"]) @ p["head"], SHAPES, {"w": 5, "head": 5}),
        (lambda p, x: jnp.tanh(x @ p["w"] + p["b"][0]) @ p["head"], SHAPES, {"w": 5, "head": 5}),
        (lambda p, x: jnp.tanh(p["b"] + x @ p["w"]) @ p["head"], SHAPES, {"w": 6, "head": 5}),
        (lambda p, x: reversed_gradient(jax.nn.relu(x @ p["w"] + p["b"])) @ p["head"], SHAPES,
            {"w": 6, "head": 5}),
        # used twice
        (lambda p, x: jnp.tanh(jnp.tanh(x @ p["w"]) @ p["w"]) @ p["head"] + p["b"][:3], SHAPES,
            {"head": 5}),
        (lambda p, x: jnp.tanh(p["table"][x[:, 0].astype(int)]) @ p["table"].T, {"table": (3, 4)},
            {}),
        # not the parameter itself
        (lambda p, x: jnp.tanh(x @ (2 * p["w"]) + p["b"]) @ p["head"], SHAPES, {"head": 5}),
        (lambda p, x: x @ (p["w"] @ p["head"]) + p["b"][:3], SHAPES, {}),
        (lambda p, x: jnp.tanh(x @ jax.lax.stop_gradient(p["w"]) + p["b"]) @ p["head"], SHAPES,
            {"head": 5}),
        # a derivative of the user's own
        (lambda p, x: own_product(jnp.tanh(x @ p["w"] + p["b"]), p["head"]), SHAPES, {"w": 6}),
        # not for every sample
        (lambda p, x: (x + jnp.tanh(jnp.ones((B, 5)) @ p["w"] + p["b"]).sum(0)) @ p["head"], SHAPES,
            {"head": 5}),
        (scanned, {"stack": (2, 5, 5), "head": (5, 3)}, {"head": 5}),
        (
            lambda p, x: conv(x.reshape(-1, 5, 1, 1).repeat(2, 3), p["w"], feature_group_count=2)[:,
                0, 0] @ p["head"],
            {"w": (5, 1, 1, 4), "head": (4, 3)},
            {"head": 4},
        ),
        (lambda p, x: [jax.debug.callback(lambda v: None, x), x @ p["head"] + p["b"][:3]][1],
            SHAPES, {"head": 5}),
        # nobody asks for it
        (lambda p, x: [x @ p["w"] + p["b"], x @ p["head"]][1], SHAPES, {"head": 5}),
    ],
)  # fmt: skip
def test_what_is_a_layer(apply: Apply, shapes: dict[str, Any], expected: dict[str, int]) -> None:
    params = weights(**shapes)
    backend = JaxBackend((apply, params))
    state, batch = backend.initial_state(), (X[:1], Y[:1])
    blocks = backend.kronecker(state, batch, seed=None)
    assert {block.name: block.positions.shape[1] for block in blocks} == expected
    (row,) = np.asarray(backend.sample_gradients(state, batch))
    for block in blocks:
        g = row[block.positions.ravel()]
        np.testing.assert_allclose(np.kron(block.outputs, block.inputs), np.outer(g, g), atol=1e-12)


def image_params() -> dict[str, Any]:
    return weights(w=(3, 2, 2, 4), b=(4,), scale=(4,), offset=(4,), head=(4, 3), end=(3,))


MEAN, VAR = RNG.normal(size=4), RNG.uniform(0.5, 2.0, 4)


def image_scores(p: Any, x: Any) -> Any:
    hidden = conv(x, p["w"], padding="SAME") + p["b"]
    hidden = (hidden - MEAN) * jax.lax.rsqrt(VAR + 1e-5) * p["scale"] + p["offset"]
    return jax.nn.relu(hidden).mean((1, 2)) @ p["head"] + p["end"]


class Images(nnx.Module):
    """The same with Flax."""

    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        kinds: dict[str, Any] = {"param_dtype": jnp.float64, "rngs": rngs}
        self.conv = nnx.Conv(2, 4, (3, 2), **kinds)
        self.norm = nnx.BatchNorm(4, **kinds)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.head = nnx.Linear(4, 3, **kinds)
        p = image_params()
        self.conv.kernel[...], self.conv.bias[...] = p["w"], p["b"]
        self.norm.scale[...], self.norm.bias[...] = p["scale"], p["offset"]
        self.norm.mean[...], self.norm.var[...] = MEAN.astype(np.float32), VAR.astype(np.float32)
        self.head.kernel[...], self.head.bias[...] = p["head"], p["end"]

    def __call__(self, x: Any) -> Any:
        return self.head(self.dropout(nnx.relu(self.norm(self.conv(x))).mean((1, 2))))


class Single(eqx.Module):
    """Of one image, with Equinox."""

    conv: eqx.nn.Conv2d
    scale: jax.Array
    offset: jax.Array
    dropout: eqx.nn.Dropout
    head: eqx.nn.Linear

    def __init__(self) -> None:
        p, key = image_params(), jax.random.key(0)
        conv = eqx.nn.Conv2d(2, 4, (3, 2), padding="SAME", key=key)
        kernel, bias = p["w"].transpose(3, 2, 0, 1), p["b"].reshape(4, 1, 1)
        self.conv = eqx.tree_at(
            lambda c: (c.weight, c.bias), conv, (jnp.asarray(kernel), jnp.asarray(bias))
        )
        self.scale, self.offset = jnp.asarray(p["scale"]), jnp.asarray(p["offset"])
        self.dropout = eqx.nn.Dropout(0.5)
        head = eqx.nn.Linear(4, 3, key=key)
        self.head = eqx.tree_at(
            lambda c: (c.weight, c.bias), head, (jnp.asarray(p["head"].T), jnp.asarray(p["end"]))
        )

    def __call__(self, x: Any, key: Any = None) -> Any:
        hidden = jnp.moveaxis(self.conv(jnp.moveaxis(x, -1, 0)), 0, -1)
        hidden = (hidden - MEAN) * jax.lax.rsqrt(VAR + 1e-5) * self.scale + self.offset
        return self.head(self.dropout(jax.nn.relu(hidden).mean((0, 1)), key=key))


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (Images, {"w": "conv.kernel", "head": "head.kernel"}),
        (Single, {"w": "conv.weight", "head": "head.weight"}),
    ],
)
def test_modules_are_taken_in_evaluation_mode(
    make: Callable[[], Any], names: dict[str, str]
) -> None:
    plain, backend = JaxBackend((image_scores, image_params())), JaxBackend(make())
    state, start, batch = backend.initial_state(), plain.initial_state(), (IMAGES, Y)
    np.testing.assert_allclose(
        backend.features(state, batch), plain.features(start, batch), atol=1e-6
    )
    hidden = conv(IMAGES, image_params()["w"], padding="SAME") + image_params()["b"]
    hidden = (hidden - MEAN) / np.sqrt(VAR + 1e-5) * image_params()["scale"] + image_params()[
        "offset"
    ]
    np.testing.assert_allclose(
        backend.features(state, batch), np.maximum(hidden, 0).mean((1, 2)), atol=1e-6
    )
    rows, wanted = (b.sample_gradients(s, batch) for b, s in ((backend, state), (plain, start)))
    np.testing.assert_allclose(wanted, by_hand(image_scores, image_params(), IMAGES), atol=1e-12)
    np.testing.assert_allclose(rows @ rows.T, wanted @ wanted.T, atol=1e-5)
    for seed in (None, 1):
        found = {block.name: block for block in backend.kronecker(state, batch, seed=seed)}
        expected = {names[block.name]: block for block in plain.kronecker(start, batch, seed=seed)}
        assert set(found) == set(expected)
        for name, block in expected.items():
            np.testing.assert_allclose(found[name].outputs, block.outputs, atol=1e-6)
            # the order of the weights may differ, of both in the same way
            np.testing.assert_allclose(
                *(np.linalg.eigvalsh(b.inputs) for b in (found[name], block)), atol=1e-5
            )
            products = [
                g[:, b.positions].reshape(B, -1) for g, b in ((rows, found[name]), (wanted, block))
            ]
            np.testing.assert_allclose(*(g @ g.T for g in products), atol=1e-5)


class TestFeatures:
    def test_of_a_linear_model_are_its_inputs_but_not_the_same_array(self) -> None:
        backend, x = JaxBackend((lambda p, x: x @ p, weights(w=(5, 3))["w"])), X.repeat(2, 0)
        found = backend.features(backend.initial_state(), (x, Y.repeat(2)))
        x[:] = np.nan
        np.testing.assert_array_equal(found, X.repeat(2, 0))

    def test_are_rows_whatever_the_order_of_the_axes(self) -> None:
        class Bare(eqx.Module):
            first: jax.Array
            last: jax.Array

            def __call__(self, x: Any) -> Any:
                return self.last @ jnp.tanh(self.first @ x)

        p = weights(first=(4, 5), last=(3, 4))
        backend = JaxBackend(Bare(jnp.asarray(p["first"]), jnp.asarray(p["last"])))
        found = backend.features(backend.initial_state(), (X, Y))
        np.testing.assert_allclose(found, np.tanh(X @ p["first"].T), rtol=1e-12)

    @pytest.mark.parametrize("samples", [3, 8])
    def test_of_series_as_long_as_the_batch(self, samples: int) -> None:
        params, x = weights(w=(5, 4)), RNG.normal(size=(samples, 8, 5))
        swapped = JaxBackend((lambda p, x: (jnp.swapaxes(x, 0, 1) @ p["w"]).mean(0), params))
        plain = JaxBackend((lambda p, x: (x @ p["w"]).mean(1), params))
        for backend in (swapped, plain):
            found = backend.features(backend.initial_state(), (x, np.zeros(samples, int)))
            np.testing.assert_array_equal(found, x.reshape(samples, -1))

    @pytest.mark.parametrize(
        "apply",
        [
            lambda p, x: own_product(jnp.tanh(x @ p["w"]), p["head"]) + p["b"][:3],
            lambda p, x: (
                jnp.tanh(x @ p["w"]) @ (2 * p["head"] / 2) @ p["w"][:3, :3]
                + jnp.tanh(x @ p["w"]) @ p["head"]
            ),
        ],
    )
    def test_of_layers_without_factors(self, apply: Apply) -> None:
        params = weights(**SHAPES)
        backend = JaxBackend((apply, params))
        found = backend.features(backend.initial_state(), (X, Y))
        np.testing.assert_allclose(found, np.tanh(X @ params["w"]), rtol=1e-12)

    def test_of_frozen_weights(self) -> None:
        params = weights(**SHAPES)

        def apply(p: Any, kept: Any, x: Any, *, training: bool, key: Any) -> tuple[Any, Any]:
            return jnp.tanh(x @ p["w"] + p["b"]) @ kept, kept

        fixed = JaxBackend(
            JaxModel(apply, {"w": params["w"], "b": params["b"]}, params["head"], statistics=False)
        )
        chosen = JaxBackend(
            (lambda p, x: jnp.tanh(x @ p["w"] + p["b"]) @ p["head"], params)
        ).select(["b"])
        for backend in (fixed, chosen):
            found = backend.features(backend.initial_state(), (X, Y))
            np.testing.assert_allclose(found, np.tanh(X @ params["w"] + params["b"]), rtol=1e-12)
        assert chosen.kronecker(chosen.initial_state(), (X, Y), seed=0) == []


class TestSampleGradients:
    def test_of_a_large_model_are_taken_in_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        traced: list[tuple[int, ...]] = []

        def apply(p: Any, x: Any) -> Any:
            traced.append(x.shape)
            return jnp.tanh(x @ p["w"] + p["b"]) @ p["head"]

        params, x = weights(**SHAPES), RNG.normal(size=(11, 5))
        y = np.arange(11) % 3
        expected = by_hand(apply, params, x, y)
        monkeypatch.setattr(gradients, "AT_ONCE", 3 * 45)
        backend = JaxBackend((apply, params))
        traced.clear()
        for size in (11, 10, 4, 3, 1):
            rows = backend.sample_gradients(backend.initial_state(), (x[:size], y[:size]))
            np.testing.assert_allclose(rows, expected[:size], atol=1e-12)
        assert traced == [(1, 5)]

    @pytest.mark.parametrize(
        ("apply", "loss"),
        [
            (
                lambda p, x: (jnp.tanh(x @ p["w"] + p["b"]) @ p["head"][:, :1]).squeeze(),
                "squared_error",
            ),
            (lambda p, x: {"logits": jnp.tanh(x @ p["w"] + p["b"]) @ p["head"]}, None),
            (scanned, None),
        ],
    )
    def test_are_what_directional_derivatives_say(self, apply: Apply, loss: str | None) -> None:
        params = weights(stack=(2, 5, 5), **SHAPES)
        backend = JaxBackend((apply, params), loss=loss)
        state, batch = backend.initial_state(), (X, Y if loss is None else X[:, 0])
        rows = backend.sample_gradients(state, batch)
        tangent = RNG.normal(size=rows.shape[1])
        np.testing.assert_allclose(rows @ tangent, backend.jvp(state, tangent, batch), atol=1e-12)

    def test_share_what_is_not_of_a_sample(self) -> None:
        backend = JaxBackend((lambda p, x, scale: (x * scale) @ p["w"][:, :3], weights(w=(5, 5))))
        scale = RNG.normal(size=5)
        rows = backend.sample_gradients(backend.initial_state(), (X, scale, Y))
        plain = JaxBackend((lambda p, x: x @ p["w"][:, :3], weights(w=(5, 5))))
        np.testing.assert_allclose(
            rows, plain.sample_gradients(plain.initial_state(), (X * scale, Y)), atol=1e-12
        )


def test_factors_and_features_compile_once_per_shape() -> None:
    traced = []

    def apply(p: Any, x: Any) -> Any:
        traced.append(x.shape)
        return jnp.tanh(x @ p["w"] + p["b"]) @ p["head"]

    backend = JaxBackend((apply, weights(**SHAPES)))
    state = backend.initial_state()

    def both(state: Any, labels: Any) -> None:
        backend.kronecker(state, (X, labels), seed=None)
        backend.features(state, (X[: labels[0] + 2], labels[: labels[0] + 2]))

    both(state, Y)
    before = len(traced)
    both(backend.unravel(state, np.ones(45)), np.roll(Y, 1))
    assert len(traced) == before


class TestDrawnTargets:
    def test_give_the_fisher_matrix_of_softmax_regression(self) -> None:
        backend = JaxBackend((lambda p, x: x @ p, weights(w=(5, 3))["w"]))
        state = backend.initial_state()
        p = np.asarray(jax.nn.softmax(backend.logits(state, (X, Y))))
        exact = (np.apply_along_axis(np.diag, 1, p) - p[:, :, None] * p[:, None, :]).mean(0)
        drawn = np.stack(
            [backend.kronecker(state, (X, Y), seed=seed)[0].outputs for seed in range(300)]
        )
        assert (np.abs(drawn.mean(0) - exact) < 4 * drawn.std(0) / np.sqrt(300)).all()

    def test_of_tokens_leave_out_what_does_not_count(self) -> None:
        backend = JaxBackend((lambda p, x: x @ p, weights(w=(5, 3))["w"]))
        state = backend.initial_state()
        labels = RNG.integers(0, 3, (B, 8))
        labels[:, 2:5] = -100
        labels[1] = -100
        scores = np.asarray(backend.logits(state, (SERIES, labels)))
        drawn = sample_targets(scores.reshape(-1, 3), seed=3).reshape(B, 8)
        (found,) = backend.kronecker(state, (SERIES, labels), seed=3)
        (wanted,) = backend.kronecker(
            state, (SERIES, np.where(labels == -100, -100, drawn)), seed=None
        )
        np.testing.assert_allclose(found.outputs, wanted.outputs, rtol=1e-12)

    def test_are_classes_where_the_given_ones_are_probabilities(self) -> None:
        backend = JaxBackend((lambda p, x: x @ p, weights(w=(5, 3))["w"]))
        state = backend.initial_state()
        (soft,), (hard,) = (
            backend.kronecker(state, (X, y), seed=2) for y in (np.full((B, 3), 1 / 3), Y)
        )
        np.testing.assert_array_equal(soft.outputs, hard.outputs)

    def test_of_squared_error_are_normal(self) -> None:
        backend = JaxBackend((lambda p, x: x @ p, weights(w=(5, 2))["w"]), loss="squared_error")
        state, y = backend.initial_state(), np.zeros((B, 2))
        noise = sample_targets(np.zeros((B, 2)), seed=7, squared_error=True)
        (block,) = backend.kronecker(state, (X, y), seed=7)
        np.testing.assert_allclose(block.outputs, 4 * noise.T @ noise / B, rtol=1e-10)


class TestErrors:
    @pytest.mark.parametrize(
        ("loss", "told"),
        [
            ("binary_cross_entropy", "'binary_cross_entropy'"),
            (lambda f, y: jnp.square(f[:, 0] - y), "a function"),
        ],
    )
    def test_targets_that_cannot_be_drawn(self, loss: Any, told: str) -> None:
        backend = JaxBackend((lambda p, x: x @ p, weights(w=(5, 1))["w"]), loss=loss)
        state, batch = backend.initial_state(), (X, np.ones(B))
        assert len(backend.kronecker(state, batch, seed=None)) == 1
        with pytest.raises(
            InvalidSettingError,
            match=f"cannot be drawn where the loss is {told}, only .*give seed=None",
        ):
            backend.kronecker(state, batch, seed=0)

    @pytest.mark.parametrize(
        ("apply", "message"),
        [
            (lambda p, x: (x[:, :, None] * p["w"]).sum(1),
                "no linear layer is found .*; choose a method that does without"),
            (lambda p, x: jax.lax.map(lambda row: row @ p["w"], x),
                "no linear layer is found in the model"),
            (lambda p, x: (x.repeat(8, 0) @ p["w"]).reshape(-1, 8, 3).mean(1),
             r"gets an input of shape \(64, 5\), where no axis is that of the 8 samples; "
r"reshape it"),
        ],
    )  # fmt: skip
    def test_models_without_features(self, apply: Apply, message: str) -> None:
        backend = JaxBackend((apply, weights(w=(5, 3))))
        with pytest.raises(InvalidModelError, match=message):
            backend.features(backend.initial_state(), (X.repeat(2, 0), Y.repeat(2)))

    @pytest.mark.parametrize(
        "call",
        [
            lambda b, s, batch: b.sample_gradients(s, batch),
            lambda b, s, batch: b.kronecker(s, batch, seed=None),
            lambda b, s, batch: b.kronecker(s, batch, seed=0),
        ],
    )
    def test_labels_that_do_not_fit(self, call: Any) -> None:
        backend = JaxBackend((lambda p, x: x @ p["w"], weights(w=(5, 3))))
        with pytest.raises(
            InvalidDataError, match=r"labels of shape \(2,\) for scores of shape \(4, 3\)"
        ):
            call(backend, backend.initial_state(), (X, Y[:2]))
