from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest

from gexcore.backend.capabilities import supports
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import SupportsBufferRefresh, SupportsLogits
from gexcore.backend.registry import BackendRegistry
from gexcore.errors import InvalidDataError, InvalidModelError, InvalidSettingError
from gexcore.testing import oracle
from gexcore.testing.problems import Toy
from gexcore.testing.suite import LAWS, BackendTests
from gexcore_numpy import MLP, BatchNorm, NumpyBackend, demo, plugin
from gexcore_numpy.losses import LOSSES, Loss
from tests.backends.ridge import check_ridge

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(9, 5)), RNG.integers(0, 3, 9)


class TestNumpy(BackendTests):
    def build(self, toy: Toy) -> NumpyBackend:
        return toy.oracle()

    def checkpoint(self, backend: NumpyBackend, state: Any) -> MLP:
        return backend.to_model(state)


class TestSelected(TestNumpy):
    """A backend of some parameters is a backend."""

    laws = tuple(law for law in LAWS if law not in oracle.LAWS)

    def build(self, toy: Toy) -> NumpyBackend:
        backend = toy.oracle()
        return backend.select(list(backend.parameter_names())[::3])


def trained(model: MLP, y: Any = Y, **settings: Any) -> tuple[NumpyBackend, Any]:
    """A backend and a state that is no longer special."""
    backend = NumpyBackend(model, **settings)
    state = backend.initial_state()
    for _ in range(10):
        state = backend.sgd_step(state, (X, y), lr=0.05, seed=0)
    return backend, state


def numerical_gradient(function: Any, at: Any, h: float = 1e-6) -> Any:
    return np.array(
        [(function(at + h * e) - function(at - h * e)) / (2 * h) for e in np.eye(at.size)]
    )


LOSS_TARGETS = {
    "hard": ("cross_entropy", Y),
    "soft": ("cross_entropy", RNG.uniform(size=(9, 3))),
    "squared": ("squared_error", RNG.normal(size=(9, 3))),
}
NETWORKS = {
    "linear": {"sizes": (5, 3)},
    "tanh": {"sizes": (5, 2, 2, 3), "activation": "tanh"},
    "relu": {"sizes": (5, 2, 2, 3)},
    "tanh_batch_norm": {"sizes": (5, 2, 2, 3), "activation": "tanh", "batch_norm": True},
    "relu_batch_norm": {"sizes": (5, 2, 2, 3), "batch_norm": True},
}


@pytest.mark.parametrize("loss", LOSS_TARGETS)
@pytest.mark.parametrize("network", NETWORKS)
class TestDerivatives:
    def test_training_gradient(self, network: str, loss: str) -> None:
        name, y = LOSS_TARGETS[loss]
        settings = {"loss": name, "optimizer": Optimizer(momentum=0.0)}
        backend, state = trained(MLP.init(seed=1, **NETWORKS[network]), y, **settings)
        here = backend.ravel(state)

        def mean_loss(flat: Any) -> float:
            return float(
                backend.training_losses(backend.unravel(state, flat), (X, y), seed=0).mean()
            )

        gradient = here - backend.ravel(backend.sgd_step(state, (X, y), lr=1.0, seed=0))
        assert gradient == pytest.approx(numerical_gradient(mean_loss, here), abs=2e-8)

    def test_jvp(self, network: str, loss: str) -> None:
        name, y = LOSS_TARGETS[loss]
        backend, state = trained(MLP.init(seed=1, **NETWORKS[network]), y, loss=name)
        here = backend.ravel(state)
        jacobian = numerical_gradient(
            lambda flat: backend.forward(backend.unravel(state, flat), (X, y)), here
        )
        computed = np.stack([backend.jvp(state, e, (X, y)) for e in np.eye(here.size)])
        assert computed == pytest.approx(jacobian, abs=2e-8)

    def test_hvp(self, network: str, loss: str) -> None:
        name, y = LOSS_TARGETS[loss]
        backend, state = trained(MLP.init(seed=1, **NETWORKS[network]), y, loss=name)
        here, units = backend.ravel(state), np.eye(backend.ravel(state).size)

        def gradient(flat: Any) -> Any:
            moved = backend.unravel(state, flat)
            return np.array([backend.jvp(moved, e, (X, y)).mean() for e in units])

        hessian = np.stack([backend.hvp(state, e, (X, y)) for e in units])
        assert hessian == pytest.approx(hessian.T, abs=1e-14)
        assert hessian == pytest.approx(numerical_gradient(gradient, here), abs=2e-8)

    def test_sample_gradients(self, network: str, loss: str) -> None:
        name, y = LOSS_TARGETS[loss]
        backend, state = trained(MLP.init(seed=1, **NETWORKS[network]), y, loss=name)
        here = backend.ravel(state)
        jacobian = numerical_gradient(
            lambda flat: backend.forward(backend.unravel(state, flat), (X, y)), here
        )
        assert backend.sample_gradients(state, (X, y)) == pytest.approx(jacobian.T, abs=2e-8)

    def test_kronecker_is_exact_for_one_sample(self, network: str, loss: str) -> None:
        name, y = LOSS_TARGETS[loss]
        backend, state = trained(MLP.init(seed=1, **NETWORKS[network]), y, loss=name)
        batch = X[3:4], y[3:4]
        (row,) = backend.sample_gradients(state, batch)
        blocks = backend.kronecker(state, batch, seed=None)
        assert [block.name for block in blocks] == [
            f"weight{depth}" for depth in range(len(NETWORKS[network]["sizes"]) - 1)
        ]
        for _, positions, inputs, outputs in blocks:
            g = row[positions.ravel()]
            assert np.kron(outputs, inputs) == pytest.approx(np.outer(g, g), abs=1e-14)


def test_softmax_regression_by_hand() -> None:
    weights, bias = RNG.normal(size=(5, 3)), RNG.normal(size=3)
    backend = NumpyBackend(MLP([weights], [bias]))
    scores = X @ weights + bias
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    state = backend.initial_state()
    assert backend.forward(state, (X, Y)) == pytest.approx(-np.log(p[np.arange(9), Y]))
    stepped = backend.to_model(backend.sgd_step(state, (X, Y), lr=0.1, seed=0))
    error = (p - np.eye(3)[Y]) / 9
    assert stepped.weights[0] == pytest.approx(weights - 0.1 * X.T @ error)
    assert stepped.biases[0] == pytest.approx(bias - 0.1 * error.sum(axis=0))


def test_drawn_labels_give_the_fisher_matrix_of_softmax_regression() -> None:
    backend, state = trained(MLP.init((5, 3), seed=0))
    scores = backend.logits(state, (X, Y))
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    exact = (np.apply_along_axis(np.diag, 1, p) - p[:, :, None] * p[:, None, :]).mean(axis=0)
    drawn = np.stack(
        [backend.kronecker(state, (X, Y), seed=seed)[0].outputs for seed in range(400)]
    )
    assert (np.abs(drawn.mean(axis=0) - exact) < 4 * drawn.std(axis=0) / 20).all()


def test_features_and_logits_by_hand() -> None:
    backend, state = trained(MLP.init((5, 4, 3), seed=0, batch_norm=True))
    model = backend.to_model(state)
    (norm,) = model.batch_norm or ()
    linear = X @ model.weights[0] + model.biases[0]
    hidden = np.maximum(
        (linear - norm.mean) / np.sqrt(norm.var + 1e-5) * norm.scale + norm.offset, 0
    )
    assert backend.features(state, (X, Y)) == pytest.approx(hidden)
    assert backend.logits(state, (X, Y)) == pytest.approx(
        hidden @ model.weights[1] + model.biases[1]
    )


def test_features_of_a_linear_model_are_its_inputs_but_not_the_same_array() -> None:
    backend = NumpyBackend(MLP.init((5, 3), seed=0))
    features = backend.features(backend.initial_state(), (X, Y))
    assert np.array_equal(features, X)
    assert not np.shares_memory(features, X)


class TestSelection:
    def test_names_follow_the_flat_vector(self) -> None:
        backend = NumpyBackend(MLP.init((5, 4, 3), seed=0, batch_norm=True))
        sizes = {"weight0": 20, "bias0": 4, "scale0": 4, "offset0": 4, "weight1": 12, "bias1": 3}
        assert list(backend.parameter_names().items()) == list(sizes.items())
        some = backend.select(["bias1", "scale0", "weight1"])
        assert list(some.parameter_names()) == ["scale0", "weight1", "bias1"]
        assert list(some.select({"weight1"}).parameter_names()) == ["weight1"]

    @pytest.mark.parametrize(
        "optimizer", [Optimizer(weight_decay=0.5), Optimizer(name="adamw", weight_decay=0.5)]
    )
    def test_steps_leave_the_others_bit_for_bit(self, optimizer: Optimizer) -> None:
        backend = NumpyBackend(MLP.init((5, 4, 3), seed=1, batch_norm=True), optimizer=optimizer)
        selected = backend.select(["offset0", "weight1"])
        state = selected.initial_state()
        for step in range(3):
            state = selected.sgd_step(state, (X, Y), lr=0.1, seed=step)
        moved = backend.ravel(state) != backend.ravel(backend.initial_state())
        assert np.array_equal(np.flatnonzero(moved), np.r_[28:32, 32:44])
        assert {vector.shape for vector in state.memory.vectors} == {(16,)}

    def test_blocks_of_chosen_weights(self) -> None:
        backend = NumpyBackend(MLP.init((5, 4, 3), seed=1))
        first, last = backend.kronecker(backend.initial_state(), (X, Y), seed=None)
        selected = backend.select(["bias0", "weight1", "bias1"])
        (block,) = selected.kronecker(selected.initial_state(), (X, Y), seed=None)
        assert first.positions[2].tolist() == [2, 6, 10, 14, 18, 22]
        assert block.name == "weight1"
        assert np.array_equal(block.positions, last.positions - 20)
        assert np.array_equal(block.inputs, last.inputs)
        (bare,) = backend.select(["weight1"]).kronecker(backend.initial_state(), (X, Y), seed=None)
        assert np.array_equal(bare.inputs, last.inputs[:4, :4])

    def test_the_backend_selected_from_stays_as_it_was(self) -> None:
        backend, state = trained(MLP.init((5, 4, 3), seed=1))
        before = backend.ravel(backend.sgd_step(state, (X, Y), lr=0.1, seed=0))
        backend.select(["bias1"])
        assert np.array_equal(
            backend.ravel(backend.sgd_step(state, (X, Y), lr=0.1, seed=0)), before
        )

    def test_a_selected_backend_travels_through_pickle(self) -> None:
        backend = NumpyBackend(MLP.init((5, 4, 3), seed=1)).select(["weight1"])
        other = pickle.loads(pickle.dumps(backend))
        assert np.array_equal(
            other.ravel(other.initial_state()), backend.ravel(backend.initial_state())
        )


def test_a_checkpoint_takes_the_dtype_of_the_model() -> None:
    backend = NumpyBackend(MLP.init((5, 4, 3), seed=0, batch_norm=True, dtype=np.float32))
    checkpoint = MLP.init((5, 4, 3), seed=1, batch_norm=True)
    state = backend.load(checkpoint)
    assert {a.dtype for a in (state.params, *state.statistics[0])} == {np.dtype(np.float32)}
    assert np.array_equal(
        backend.to_model(state).weights[1], checkpoint.weights[1].astype(np.float32)
    )


def test_flat_order_is_weight_bias_scale_offset_by_layer() -> None:
    model = MLP.init((2, 3, 1), seed=0, batch_norm=True)
    (norm,) = model.batch_norm or ()
    expected = [
        model.weights[0].ravel(),
        model.biases[0],
        norm.scale,
        norm.offset,
        model.weights[1].ravel(),
    ]
    backend = NumpyBackend(model)
    assert np.array_equal(
        backend.ravel(backend.initial_state()), np.concatenate([*expected, model.biases[1]])
    )


@pytest.mark.parametrize("loss", [None, "squared_error"])
def test_stable_at_huge_outputs(loss: str | None) -> None:
    backend = NumpyBackend(MLP([np.eye(3) * 1e4], [np.zeros(3)]), loss=loss)
    batch = (np.eye(3), np.array([0, 1, 0]) if loss is None else np.zeros((3, 3)))
    losses = backend.forward(backend.initial_state(), batch)
    assert losses == pytest.approx([0, 0, 1e4] if loss is None else [1e8] * 3)


def test_divergence_shows_in_the_numbers_not_in_warnings() -> None:
    backend, state = trained(MLP.init((5, 8, 3), seed=0), np.zeros((9, 3)), loss="squared_error")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(30):
            state = backend.sgd_step(state, (X, np.zeros((9, 3))), lr=1e3, seed=0)
        assert not np.isfinite(backend.forward(state, (X, np.zeros((9, 3))))).any()


def test_running_statistics_follow_pytorch() -> None:
    norm = BatchNorm(np.ones(1), np.zeros(1), np.array([2.0]), np.array([3.0]))
    backend = NumpyBackend(
        MLP([np.ones((1, 1)), np.ones((1, 1))], [np.zeros(1), np.zeros(1)], "relu", [norm])
    )
    x = np.array([[1.0], [2.0], [6.0]])
    state = backend.sgd_step(backend.initial_state(), (x, np.zeros(3, int)), lr=0.0, seed=0)
    # the unbiased variance of 1, 2, 6 is 7
    assert state.statistics[0].mean == pytest.approx([0.9 * 2 + 0.1 * 3])
    assert state.statistics[0].var == pytest.approx([0.9 * 3 + 0.1 * 7])


def test_momentum_and_decay_by_hand() -> None:
    backend = NumpyBackend(
        MLP([np.array([[2.0]])], [np.zeros(1)]),
        loss="squared_error",
        optimizer=Optimizer(weight_decay=0.5),
    )
    batch = (np.array([[1.0]]), np.array([0.0]))
    one = backend.sgd_step(backend.initial_state(), batch, lr=0.1, seed=0)
    # gradients: weight 2·2 + .5·2 = 5, bias 2·2 = 4
    assert backend.ravel(one) == pytest.approx([1.5, -0.4])
    two = backend.sgd_step(one, batch, lr=0.1, seed=0)
    # f = 1.1: weight .9·5 + 2.2 + .75, bias .9·4 + 2.2 − .2
    assert backend.ravel(two) == pytest.approx([1.5 - 0.745, -0.4 - 0.56])


def test_adamw_starts_with_steps_of_size_lr_after_decay() -> None:
    optimizer = Optimizer(name="adamw", weight_decay=0.5)
    backend = NumpyBackend(
        MLP([np.array([[2.0]])], [np.zeros(1)]), loss="squared_error", optimizer=optimizer
    )
    one = backend.sgd_step(
        backend.initial_state(), (np.array([[1.0]]), np.array([0.0])), lr=0.1, seed=0
    )
    assert backend.ravel(one) == pytest.approx([2.0 * (1 - 0.1 * 0.5) - 0.1, -0.1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept(dtype: Any) -> None:
    backend = NumpyBackend(
        MLP.init((5, 4, 3), seed=0, batch_norm=True, dtype=dtype), optimizer=Optimizer(name="adamw")
    )
    state = backend.sgd_step(backend.initial_state(), (X, Y), lr=np.float64(0.1), seed=0)
    state = backend.refresh_buffers(state, [(X, Y)])
    flat = np.ones(backend.ravel(state).size)
    found = [
        *(backend.forward(state, (X, Y)), backend.logits(state, (X, Y)), backend.ravel(state)),
        *(
            backend.jvp(state, flat, (X, Y)),
            backend.hvp(state, flat, (X, Y)),
            backend.ravel(backend.unravel(state, flat)),
        ),
        *(backend.sample_gradients(state, (X, Y)), backend.features(state, (X, Y))),
        *backend.kronecker(state, (X, Y), seed=0)[0][2:],
        *(*state.statistics[0], *state.memory.vectors),
    ]
    assert {array.dtype for array in found} == {np.dtype(dtype)}
    assert backend.to_model(state).dtype == dtype


def test_the_users_model_is_never_changed() -> None:
    model = MLP.init((5, 4, 3), seed=0, batch_norm=True)
    before = pickle.dumps(model)
    backend, state = trained(model)
    backend.sgd_step_(backend.copy(state), (X, Y), lr=1.0, seed=0)
    assert pickle.dumps(model) == before


def test_the_backend_does_not_follow_the_users_model() -> None:
    model = MLP.init((5, 3), seed=0)
    backend = NumpyBackend(model)
    before = backend.forward(backend.initial_state(), (X, Y))
    model.weights[0][:] = 0
    assert np.array_equal(backend.forward(backend.initial_state(), (X, Y)), before)


def test_backend_and_state_travel_through_pickle() -> None:
    backend, state = trained(
        MLP.init((5, 4, 3), seed=0, batch_norm=True), optimizer=Optimizer(name="adamw")
    )
    other, elsewhere = pickle.loads(pickle.dumps((backend, state)))
    expected = backend.ravel(backend.sgd_step(state, (X, Y), lr=0.1, seed=0))
    assert np.array_equal(other.ravel(other.sgd_step(elsewhere, (X, Y), lr=0.1, seed=0)), expected)
    assert other.unsupported == backend.unsupported


def test_images_are_flattened() -> None:
    backend = NumpyBackend(MLP.init((6, 3), seed=0))
    images, state = RNG.normal(size=(9, 2, 3)), backend.initial_state()
    assert np.array_equal(
        backend.forward(state, (images, Y)), backend.forward(state, (images.reshape(9, 6), Y))
    )


def test_targets_of_one_output_may_be_flat() -> None:
    backend, y = NumpyBackend(MLP.init((5, 1), seed=0), loss="squared_error"), RNG.normal(size=9)
    state = backend.initial_state()
    assert np.array_equal(backend.forward(state, (X, y)), backend.forward(state, (X, y[:, None])))


def test_capabilities_follow_the_model_and_the_loss() -> None:
    plain, normalised = MLP.init((5, 4, 3), seed=0), MLP.init((5, 4, 3), seed=0, batch_norm=True)
    assert not supports(NumpyBackend(plain), SupportsBufferRefresh)
    assert supports(NumpyBackend(normalised), SupportsBufferRefresh)
    assert supports(NumpyBackend(plain, loss="cross_entropy"), SupportsLogits)
    assert not supports(NumpyBackend(plain, loss="squared_error"), SupportsLogits)


def test_a_loss_of_ones_own() -> None:
    squared = LOSSES["squared_error"]
    halved = Loss(
        squared.targets,
        lambda f, t: 0.5 * squared.value(f, t),
        lambda f, t: 0.5 * squared.gradient(f, t),
        lambda f, t, v: 0.5 * squared.curvature(f, t, v),
    )
    model, y = MLP.init((5, 4, 3), seed=0), RNG.normal(size=(9, 3))
    backend, other = NumpyBackend(model, loss=halved), NumpyBackend(model, loss="squared_error")
    state, tangent = backend.initial_state(), np.ones(backend.ravel(backend.initial_state()).size)
    assert backend.forward(state, (X, y)) == pytest.approx(0.5 * other.forward(state, (X, y)))
    assert backend.hvp(state, tangent, (X, y)) == pytest.approx(
        0.5 * other.hvp(state, tangent, (X, y))
    )


@pytest.mark.parametrize("soft", [False, True])
def test_value_and_gradient_at_once_are_those_of_the_loss_to_the_bit(soft: bool) -> None:
    found = LOSSES["cross_entropy"]
    outputs = np.asfortranarray(50 * RNG.normal(size=(9, 3)))
    targets = found.targets(RNG.random((9, 3)) if soft else Y, outputs)
    value, gradient = found.value_and_gradient(outputs, targets)
    np.testing.assert_array_equal(value, found.value(outputs, targets))
    np.testing.assert_array_equal(gradient, found.gradient(outputs, targets))
    assert not np.array_equal(
        gradient, found._replace(both=None).value_and_gradient(outputs, 0.9 * targets)[1]
    )


def test_the_plugin_describes_the_backend() -> None:
    registry = BackendRegistry()
    registry.register(plugin, "numpy")
    model = MLP.init((5, 3), seed=0)
    assert registry.find(model) == "numpy"
    assert isinstance(registry.create(model, loss="cross_entropy"), NumpyBackend)
    assert registry.spec("numpy").load(registry.spec("numpy").demo) is demo.train


class TestDemo:
    def test_memorises_wrong_labels(self) -> None:
        x, y = RNG.normal(size=(200, 10)), RNG.integers(0, 4, 200)
        model = demo.train(x, y, classes=4, seed=0)
        backend = NumpyBackend(model)
        state = backend.initial_state()
        assert model.dtype == np.float32
        assert np.array_equal(backend.logits(state, (x, y)).argmax(axis=1), y)
        assert backend.forward(state, (x, y)).mean() < 0.05

    def test_equal_seeds_give_equal_models(self) -> None:
        x, y = RNG.normal(size=(64, 2, 3)), RNG.integers(0, 2, 64)
        one, two, other = (demo.train(x, y, classes=2, seed=seed) for seed in (1, 1, 2))
        assert np.array_equal(one.weights[0], two.weights[0])
        assert not np.array_equal(one.weights[0], other.weights[0])


MODEL = MLP.init((5, 4, 3), seed=0)


class TestErrors:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            (
                {"loss": "hinge"},
                "no loss named 'hinge'; allowed are cross_entropy, squared_error, and a gexcore",
            ),
            ({"loss": len}, "no loss named <built-in function len>; allowed are"),
            (
                {"optimizer": Optimizer(name="lion")},
                "the optimiser is 'lion'; NumPy knows 'sgd' and 'adamw'",
            ),
            (
                {"optimizer": Optimizer(name=dict)},
                "the optimiser is a callable; NumPy knows 'sgd' and 'adamw'",
            ),
        ],
    )
    def test_settings(self, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(InvalidModelError, match=message):
            NumpyBackend(MODEL, **settings)

    def test_model(self) -> None:
        with pytest.raises(
            InvalidModelError,
            match=r"the model is a dict; the NumPy backend takes a gexcore_numpy\.MLP",
        ):
            NumpyBackend({})

    @pytest.mark.parametrize(
        ("y", "message"),
        [
            (
                Y.astype(float),
                r"float64 targets of shape \(9,\) for scores of shape \(9, 3\); give integer",
            ),
            (Y + 1, "label 3 is outside 0 … 2, the 3 classes of the model; recode the labels"),
            (Y - 1, "label -1 is outside 0 … 2"),
            (np.zeros((9, 4)), r"float64 targets of shape \(9, 4\) for scores of shape \(9, 3\)"),
        ],
    )
    def test_labels(self, y: Any, message: str) -> None:
        backend = NumpyBackend(MODEL)
        with pytest.raises(InvalidDataError, match=message):
            backend.forward(backend.initial_state(), (X, y))

    def test_targets(self) -> None:
        backend = NumpyBackend(MODEL, loss="squared_error")
        with pytest.raises(
            InvalidDataError, match=r"targets of shape \(9,\) for outputs of shape \(9, 3\)"
        ):
            backend.forward(backend.initial_state(), (X, np.zeros(9)))

    @pytest.mark.parametrize(
        ("batch", "message"),
        [
            ({"x": X, "y": Y}, r"a batch for the NumPy backend is \(x, y\), but this one is dict"),
            ((X, X, Y), "but this one is 3 columns; give the data as"),
            ((X[:, :4], Y), r"have shape \(9, 4\), but the model takes 5 numbers per sample"),
            ((X.ravel(), Y), r"have shape \(45,\), but the model takes 5"),
        ],
    )
    def test_batches(self, batch: Any, message: str) -> None:
        backend = NumpyBackend(MODEL)
        with pytest.raises(InvalidDataError, match=message):
            backend.forward(backend.initial_state(), batch)

    def test_a_batch_of_one_cannot_be_normalised(self) -> None:
        backend = NumpyBackend(MLP.init((5, 4, 3), seed=0, batch_norm=True))
        with pytest.raises(InvalidDataError, match="a training batch of 1 sample has no variance"):
            backend.sgd_step(backend.initial_state(), (X[:1], Y[:1]), lr=0.1, seed=0)

    def test_vectors_and_refreshes(self) -> None:
        backend = NumpyBackend(MLP.init((5, 4, 3), seed=0, batch_norm=True))
        state = backend.initial_state()
        with pytest.raises(InvalidDataError, match=r"has shape \(47,\) for this model, not \(7,\)"):
            backend.jvp(state, np.ones(7), (X, Y))
        with pytest.raises(InvalidDataError, match="no batches to estimate the statistics"):
            backend.refresh_buffers(state, [])

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            ([], "no parameters were chosen; choose from 'weight0', 'bias0', 'weight1', 'bias1'"),
            (
                ["bias1", "scale0"],
                "no trainable parameter is named 'scale0'; choose from 'weight0', 'bias0'",
            ),
            ({"b", "a"}, "no trainable parameter is named 'a'; choose from"),
        ],
    )
    def test_names(self, names: Any, message: str) -> None:
        with pytest.raises(InvalidSettingError, match=message):
            NumpyBackend(MODEL).select(names)

    def test_names_that_were_not_chosen_before(self) -> None:
        with pytest.raises(
            InvalidSettingError,
            match=r"no trainable parameter is named 'weight0'; choose from 'bias1'$",
        ):
            NumpyBackend(MODEL).select(["bias1"]).select(["weight0"])

    @pytest.mark.parametrize(
        ("checkpoint", "told"),
        [
            (MLP.init((5, 3), seed=0), r"an MLP of sizes \(5, 3\) with relu"),
            (
                MLP.init((5, 4, 3), seed=0, activation="tanh"),
                r"an MLP of sizes \(5, 4, 3\) with tanh",
            ),
            (MLP.init((5, 4, 3), seed=0, batch_norm=True), "with relu and batch normalisation"),
            ({"weight0": 1}, "a dict"),
        ],
    )
    def test_checkpoints(self, checkpoint: Any, told: str) -> None:
        wanted = r"; give an MLP of sizes \(5, 4, 3\) with relu, like the model"
        with pytest.raises(InvalidModelError, match="the checkpoint is .*" + told + wanted):
            NumpyBackend(MODEL).load(checkpoint)

    def test_labels_cannot_be_drawn_for_a_loss_of_ones_own(self) -> None:
        backend = NumpyBackend(MODEL, loss=Loss(*LOSSES["cross_entropy"][:4]))
        state = backend.initial_state()
        assert len(backend.kronecker(state, (X, Y), seed=None)) == 2
        with pytest.raises(
            InvalidSettingError,
            match=r"the loss has no labels to draw .*; give the Loss a draw, or seed=None",
        ):
            backend.kronecker(state, (X, Y), seed=0)

    @pytest.mark.parametrize(
        ("model", "message"),
        [
            (lambda: MLP([], []), "one weight and one bias for each layer; got 0 and 0"),
            (lambda: MLP([np.ones((2, 3))], [np.ones(3)] * 2), "got 1 and 2"),
            (
                lambda: MLP([np.ones((2, 3)), np.ones((2, 1))], [np.ones(3), np.ones(1)]),
                r"shapes \(2, 3\), \(2, 1\)",
            ),
            (lambda: MLP([np.ones(3)], [np.ones(3)]), r"the weights have shapes \(3,\)"),
            (
                lambda: MLP([np.ones((2, 3))], [np.ones(2)]),
                r"has shape \(2,\); its layer is 3 wide",
            ),
            (
                lambda: MLP([np.ones((2, 3))], [np.ones(3, "f")]),
                "arrays are float32, float64; make all of them",
            ),
            (lambda: MLP([np.ones((2, 3), int)], [np.ones(3, int)]), "arrays are int64"),
            (
                lambda: MLP([np.ones((2, 3))], [np.ones(3)], "gelu"),
                "the activation is 'gelu'; choose 'relu' or 'tanh'",
            ),
            (
                lambda: MLP([np.ones((2, 3))], [np.ones(3)], "relu", [None]),
                "batch_norm has 1 entries for 0 hidden",
            ),
        ],
    )
    def test_models(self, model: Any, message: str) -> None:
        with pytest.raises(InvalidModelError, match=message):
            model()


def test_a_ridge_answers_for_all_members() -> None:
    check_ridge(demo.train)
