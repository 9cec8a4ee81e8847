"""Per-sample gradients and features against the same by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from gexcore.backend.capabilities import supports
from gexcore.backend.protocols import SupportsFeatures
from gexcore.errors import InvalidDataError, InvalidModelError
from gexcore_torch import gradients
from gexcore_torch.backend import TorchBackend

# PyTorch's forward mode uses it on its first use
pytestmark = pytest.mark.filterwarnings(
    "ignore:.torch.jit.script. is deprecated:DeprecationWarning"
)

N = 6
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 5))
IMAGES = RNG.normal(size=(N, 2, 6, 5))
SERIES = RNG.normal(size=(N, 4, 5))
Y = np.arange(N) % 3


@pytest.fixture(autouse=True)
def _seeded() -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def by_hand(model: nn.Module, x: Any, y: Any, loss: Any = functional.cross_entropy) -> Tensor:
    """One forward and backward pass per sample, in evaluation mode."""
    model = copy.deepcopy(model).eval()
    trained = [p for p in model.parameters() if p.requires_grad]
    rows = []
    for i in range(len(y)):
        inputs = [
            torch.as_tensor(part[i : i + 1]) for part in (x if isinstance(x, tuple) else (x,))
        ]
        value = loss(model(*inputs), torch.as_tensor(y[i : i + 1]))
        rows.append(
            torch.cat(
                [
                    g.reshape(-1)
                    for g in torch.autograd.grad(value.sum(), trained, materialize_grads=True)
                ]
            )
        )
    return torch.stack(rows)


def route(backend: TorchBackend) -> str:
    """The fastest way that worked."""
    return backend._program._gradients._routes[0].__name__


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3)
    ).double()


def convolutional() -> nn.Sequential:
    layers = [
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 4, 2, padding=1),
        nn.ReLU(),
    ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)).double()


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer, self.head = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 3)
        self.outer.weight = self.inner.weight

    def forward(self, x: Tensor) -> Any:
        return self.head(self.outer(torch.tanh(self.inner(x))))


class Branching(nn.Linear):
    """What it computes depends on the data."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(
            [
                super(Branching, self).forward(row[None] if row.sum() > 0 else -2 * row[None])
                for row in x
            ]
        )


class InPlace(nn.Linear):
    """Writes into a tensor that it made without a sample's dimension in mind."""

    def forward(self, x: Tensor) -> Tensor:
        out = torch.zeros(len(x), 3, dtype=x.dtype)
        out += super().forward(x)
        return out


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(5, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.lstm(x)[0][:, -1])


def frozen() -> nn.Module:
    model = network()
    model[0].weight.requires_grad_(False)
    model[4].bias.requires_grad_(False)
    return model


class TestSampleGradients:
    @pytest.mark.parametrize(
        ("make", "x", "taken"),
        [
            (network, X, "_vectorised"),
            (frozen, X, "_vectorised"),
            (lambda: Tied().double(), X, "_vectorised"),
            (convolutional, IMAGES, "_vectorised"),
            (
                lambda: nn.Sequential(weight_norm(nn.Linear(5, 4)), nn.Linear(4, 3)).double(),
                X,
                "_vectorised",
            ),
            (lambda: Recurrent().double(), SERIES, "_one_by_one"),
            (lambda: Branching(5, 3).double(), X, "_one_by_one"),
            (lambda: InPlace(5, 3).double(), X, "_one_by_one"),
        ],
    )
    def test_are_those_of_a_loop(self, make: Callable[[], nn.Module], x: Any, taken: str) -> None:
        model = make().train()
        backend = TorchBackend(model)
        state = backend.initial_state()
        for _ in range(2):
            rows = backend.sample_gradients(state, (x, Y))
            torch.testing.assert_close(rows, by_hand(model, x, Y))
            assert rows.shape == (N, len(backend.ravel(state)))
            assert not rows.requires_grad
            assert route(backend) == taken

    def test_follow_the_state(self) -> None:
        model = network()
        backend = TorchBackend(model)
        state = backend.sgd_step(backend.initial_state(), (X, Y), lr=0.5, seed=0)
        moved = copy.deepcopy(model)
        moved.load_state_dict(backend._program.worker().ready(state, training=False).state_dict())
        torch.testing.assert_close(backend.sample_gradients(state, (X, Y)), by_hand(moved, X, Y))
        torch.testing.assert_close(
            backend.sample_gradients(backend.initial_state(), (X, Y)), by_hand(model, X, Y)
        )

    def test_of_a_large_model_are_taken_in_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        backend = TorchBackend(network())
        whole = backend.sample_gradients(backend.initial_state(), (X, Y))
        monkeypatch.setattr(gradients, "AT_ONCE", 4 * whole.shape[1])
        torch.testing.assert_close(backend.sample_gradients(backend.initial_state(), (X, Y)), whole)
        assert route(backend) == "_vectorised"

    def test_of_a_mapping_with_more_than_samples_in_it(self) -> None:
        class Named(nn.Linear):
            def forward(self, x: Tensor, scale: Tensor, mode: str) -> Any:  # type: ignore[override]
                return {"logits": super().forward(x) * scale.sum() * len(mode)}

        model = Named(5, 3).double()
        backend = TorchBackend(model)
        batch = {"x": X, "scale": np.array([0.5, 1.0]), "mode": "ab", "labels": Y}
        plain = nn.Linear(5, 3).double()
        plain.load_state_dict(model.state_dict())
        expected = by_hand(plain, X, Y, loss=lambda f, y: functional.cross_entropy(3 * f, y))
        torch.testing.assert_close(
            backend.sample_gradients(backend.initial_state(), batch), expected
        )
        assert route(backend) == "_vectorised"

    def test_where_a_tensor_only_looks_like_one_row_per_sample(self) -> None:
        class Weighted(nn.Linear):
            def forward(self, x: Tensor, weights: Tensor) -> Tensor:  # type: ignore[override]
                return super().forward(x) * weights.sum()

        model, weights = Weighted(5, 3).double(), np.linspace(0.0, 1.0, N)
        backend = TorchBackend(model)
        state = backend.initial_state()
        rows = backend.sample_gradients(state, (X, weights, Y))
        tangent = RNG.normal(size=rows.shape[1])
        torch.testing.assert_close(
            rows @ torch.from_numpy(tangent), backend.jvp(state, tangent, (X, weights, Y))
        )
        assert route(backend) == "_from_one_graph"

    @pytest.mark.parametrize(
        ("forward", "taken"),
        [
            (
                lambda f, x: f(x).squeeze(),
                "_from_one_graph",
            ),  # what is left of one sample has no dimension
            (lambda f, x: f(x - x.mean(0))[:, 0], "_from_one_graph"),
            (lambda f, x: f(x + torch.randn(x.T.shape).T)[:, 0], "_from_one_graph"),
            # drawn row by row, by luck
            (lambda f, x: functional.dropout(f(x))[:, 0], "_one_by_one"),
        ],
    )
    def test_where_one_sample_is_not_as_many(self, forward: Any, taken: str) -> None:
        class Model(nn.Linear):
            def forward(self, x: Tensor) -> Any:
                return forward(super().forward, x)

        backend = TorchBackend(Model(5, 1).double(), loss="squared_error")
        state, batch = backend.initial_state(), (X, X[:, 0])
        rows = backend.sample_gradients(state, batch)
        tangent = RNG.normal(size=rows.shape[1])
        torch.testing.assert_close(
            rows @ torch.from_numpy(tangent), backend.jvp(state, tangent, batch)
        )
        assert route(backend) == taken

    def test_are_zero_where_the_losses_do_not_depend_on_the_parameters(self) -> None:
        backend = TorchBackend(network(), loss=lambda output, target: output.detach().sum(1))
        assert not backend.sample_gradients(backend.initial_state(), (X, Y)).any()

    def test_a_bad_batch_is_refused_and_forgotten(self) -> None:
        backend = TorchBackend(network())
        with pytest.raises(InvalidDataError, match="label 3 is outside 0 … 2"):
            backend.sample_gradients(backend.initial_state(), (X, Y + 1))
        backend.sample_gradients(backend.initial_state(), (X, Y))
        assert route(backend) == "_vectorised"


class TestFeatures:
    @pytest.mark.parametrize("make", [network, frozen])
    def test_are_the_inputs_of_the_last_layer(self, make: Callable[[], nn.Sequential]) -> None:
        model = make()
        backend = TorchBackend(model)
        features = backend.features(backend.initial_state(), (X, Y))
        expected = copy.deepcopy(model).eval()[:-1](torch.from_numpy(X)).detach()
        torch.testing.assert_close(features, expected)
        assert not features.requires_grad

    def test_of_the_layer_that_runs_last_not_the_one_that_is_last(self) -> None:
        class Reversed(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.head, self.body = nn.Linear(4, 3), nn.Linear(5, 4)

            def forward(self, x: Tensor) -> Any:
                hidden = self.body(input=x).relu()
                scores = self.head(hidden)
                hidden.zero_()
                return scores

        model = Reversed().double()
        backend = TorchBackend(model)
        torch.testing.assert_close(
            backend.features(backend.initial_state(), (X, Y)),
            model.body(torch.from_numpy(X)).relu().detach(),
        )

    def test_of_several_places_are_flattened(self) -> None:
        model = nn.Sequential(nn.Linear(5, 2), nn.Flatten()).double()
        backend = TorchBackend(model)
        assert (
            backend.features(backend.initial_state(), (SERIES, Y)).tolist()
            == SERIES.reshape(N, -1).tolist()
        )

    def test_are_not_the_callers_memory(self) -> None:
        backend = TorchBackend(nn.Linear(5, 3).double())
        batch = X.copy(), Y
        backend.features(backend.initial_state(), batch).zero_()
        assert np.array_equal(batch[0], X)

    def test_within_a_fused_layer(self) -> None:
        model = nn.Sequential(
            nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), nn.Flatten()
        ).double()
        backend = TorchBackend(model)
        batch = SERIES[:, :, :4], Y
        assert backend.features(backend.initial_state(), batch).shape == (N, 4 * 8)

    def test_need_a_linear_layer_that_runs(self) -> None:
        assert not supports(
            TorchBackend(nn.Sequential(nn.Conv2d(2, 3, (6, 5)), nn.Flatten())), SupportsFeatures
        )

        class Around(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(5, 3)

            def forward(self, x: Tensor) -> Tensor:
                return functional.linear(x, self.layer.weight)

        backend = TorchBackend(Around().double())
        with pytest.raises(
            InvalidModelError, match="none of the linear layers of Around runs as a module"
        ):
            backend.features(backend.initial_state(), (X, Y))
        model = nn.Sequential(
            nn.Flatten(0, 1), nn.Linear(5, 3), nn.Unflatten(0, (N, 4)), nn.Flatten()
        ).double()
        backend = TorchBackend(model)
        with pytest.raises(
            InvalidModelError,
            match=r"input of shape \(24, 5\), which does not begin with the number",
        ):
            backend.features(backend.initial_state(), (SERIES, Y))
