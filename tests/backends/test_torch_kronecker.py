"""Kronecker factors against the same place by place."""

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
from gexcore.backend.drawing import sample_targets
from gexcore.backend.kronecker import KroneckerBlock
from gexcore.backend.protocols import SupportsKronecker
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore_torch.backend import TorchBackend

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


class Twice(nn.Module):
    """One layer that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(5, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.inner(torch.tanh(self.inner(x))))


class Doubling(nn.Linear):
    """No longer what its class computes."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def explicit(model: nn.Module, layer: Any, x: Any, y: Any, *, bias: bool) -> tuple[Tensor, Tensor]:
    """Both factors from the inputs and the gradients of the outputs of every sample, place by
    place."""
    seen: dict[str, Tensor] = {}

    def hook(_: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor:
        output.retain_grad()
        seen.update(inputs=args[0], output=output)
        return output.clone()

    handle = layer.register_forward_hook(hook)
    inputs = outputs = torch.zeros(())
    for i in range(len(y)):
        model.zero_grad()
        loss = functional.cross_entropy(
            model(torch.as_tensor(x[i : i + 1])), torch.as_tensor(y[i : i + 1])
        )
        torch.autograd.backward(loss)
        # a layer is linear in its weights: its derivative by those of one output are the inputs at
        # each place
        output = seen["output"]
        signals = output.grad
        assert signals is not None
        if isinstance(layer, nn.Linear):
            a, s = (
                seen["inputs"].reshape(-1, layer.in_features),
                signals.reshape(-1, layer.out_features),
            )
        else:
            s = signals[0].flatten(1).T

            def first(weight: Tensor) -> Tensor:
                out: Tensor = layer._conv_forward(seen["inputs"], weight, None)
                return out[0, 0].flatten()

            a = torch.func.jacrev(first)(layer.weight.detach())[:, 0].flatten(1)
        if bias:
            a = torch.cat([a, torch.ones_like(a[:, :1])], 1)
        inputs = inputs + a.T @ a / len(y)
        outputs = outputs + s.T @ s / len(s) / len(y)
    handle.remove()
    return inputs.detach(), outputs.detach()


CONVOLUTIONS: list[tuple[Callable[[], nn.Module], Any]] = [
    (lambda: nn.Conv2d(2, 3, 3), IMAGES),
    (lambda: nn.Conv2d(2, 3, 2, padding="same", bias=False), IMAGES),
    (lambda: nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)), IMAGES),
    (lambda: nn.Conv2d(2, 3, 3, padding=2, padding_mode="circular"), IMAGES),
    (lambda: nn.Conv2d(2, 3, 3, padding="same", padding_mode="reflect"), IMAGES),
    (lambda: nn.Conv1d(4, 3, 3, stride=2, padding=1), SERIES),
    (lambda: nn.Conv1d(4, 3, 2, padding="same", dilation=2), SERIES),
]


class TestKronecker:
    @pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
    @pytest.mark.parametrize(("make", "x"), CONVOLUTIONS)
    def test_of_convolutions_place_by_place(
        self, make: Callable[[], Any], x: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        layer = make()
        # in place, as in most published networks
        model = nn.Sequential(
            layer, nn.ReLU(inplace=True), nn.Flatten(2), nn.AdaptiveAvgPool1d(2), nn.Flatten()
        ).double()
        backend = TorchBackend(model)
        expected = explicit(model, layer, x, Y, bias=layer.bias is not None)
        for numbers_at_once in (2**25, 300):
            monkeypatch.setattr("gexcore_torch.kronecker.AT_ONCE", numbers_at_once)
            (block,) = backend.kronecker(backend.initial_state(), (x, Y), seed=None)
            torch.testing.assert_close((block.inputs, block.outputs), expected)

    @pytest.mark.parametrize(
        ("make", "x"),
        [
            (lambda: nn.Linear(5, 3), X),
            (lambda: nn.Linear(5, 3, bias=False), X),
            (lambda: nn.Sequential(nn.Conv2d(2, 3, (6, 5)), nn.Flatten()), IMAGES),
            (lambda: nn.Sequential(nn.Conv1d(4, 3, 5, bias=False), nn.Flatten()), SERIES),
        ],
    )
    def test_of_one_sample_and_one_place_are_the_fisher_matrix(
        self, make: Callable[[], nn.Module], x: Any
    ) -> None:
        model = make().double()
        backend = TorchBackend(model)
        for i in range(2):
            batch = x[i : i + 1], Y[i : i + 1]
            (block,) = backend.kronecker(backend.initial_state(), batch, seed=None)
            inputs, label = (torch.from_numpy(part) for part in batch)
            loss = functional.cross_entropy(model(inputs), label)
            grads = torch.autograd.grad(loss, list(model.parameters()))
            g = torch.cat([grad.flatten() for grad in grads])[block.positions.ravel()]
            torch.testing.assert_close(torch.kron(block.outputs, block.inputs), torch.outer(g, g))

    def test_of_a_network_in_evaluation_mode(self) -> None:
        for model, x in ((network(), X), (convolutional(), IMAGES)):
            backend = TorchBackend(model.train())
            state = backend.initial_state()
            blocks = backend.kronecker(state, (x, Y), seed=None)
            twin = copy.deepcopy(model).eval()
            layers: dict[str, Any] = {
                f"{i}.weight": m for i, m in enumerate(twin) if isinstance(m, nn.Linear | nn.Conv2d)
            }
            assert [block.name for block in blocks] == list(layers)
            for block in blocks:
                expected = explicit(twin, layers[block.name], x, Y, bias=True)
                torch.testing.assert_close((block.inputs, block.outputs), expected)
                layer, flat = layers[block.name], backend.ravel(state)
                assert torch.equal(flat[block.positions[:, :-1].ravel()], layer.weight.flatten())
                assert torch.equal(flat[block.positions[:, -1]], layer.bias)

    def test_of_a_linear_layer_at_several_places(self) -> None:
        layer = nn.Linear(5, 2)
        model = nn.Sequential(layer, nn.Flatten(), nn.Linear(8, 3)).double()
        backend = TorchBackend(model)
        block = backend.kronecker(backend.initial_state(), (SERIES, Y), seed=None)[0]
        torch.testing.assert_close(
            (block.inputs, block.outputs), explicit(model, layer, SERIES, Y, bias=True)
        )

    def test_of_frozen_parts(self) -> None:
        model = network()
        model[0].bias.requires_grad_(False)
        model[4].weight.requires_grad_(False)
        backend = TorchBackend(model)
        (block,) = backend.kronecker(backend.initial_state(), (X, Y), seed=None)
        assert block.name == "0.weight"
        assert block.positions.tolist() == np.arange(40).reshape(8, 5).tolist()
        torch.testing.assert_close(block.inputs, torch.from_numpy(X.T @ X / N))

    @pytest.mark.parametrize(
        "make",
        [
            Tied,
            Twice,
            lambda: nn.Sequential(weight_norm(nn.Linear(5, 5)), nn.Linear(5, 3)),
            lambda: nn.Sequential(Doubling(5, 4), nn.Linear(4, 3)),
            lambda: nn.Sequential(
                nn.Unflatten(1, (5, 1)), nn.Conv1d(5, 5, 1, groups=5), nn.Flatten(), nn.Linear(5, 3)
            ),
            lambda: nn.Sequential(
                nn.Unflatten(1, (5, 1)), nn.ConvTranspose1d(5, 5, 1), nn.Flatten(), nn.Linear(5, 3)
            ),
        ],
    )
    def test_leave_out_what_does_not_fit(self, make: Callable[[], nn.Module]) -> None:
        backend = TorchBackend(make().double())
        (block,) = backend.kronecker(backend.initial_state(), (X, Y), seed=None)
        assert block.positions.shape[0] == 3

    def test_are_absent_without_such_a_layer(self) -> None:
        assert supports(TorchBackend(network()), SupportsKronecker)
        model = network()
        model[0].requires_grad_(False)
        model[4].weight.requires_grad_(False)
        assert not supports(TorchBackend(model), SupportsKronecker)

    def test_with_a_seed_are_of_drawn_labels(self) -> None:
        backend = TorchBackend(network())
        state = backend.initial_state()
        for seed in (0, 1):
            labels = sample_targets(backend.logits(state, (X, Y)).numpy(), seed=seed)
            expected = backend.kronecker(state, (X, labels), seed=None)
            soft = np.full((N, 3), 1 / 3)
            for given in (Y, soft):
                assert_same(backend.kronecker(state, (X, given), seed=seed), expected)

    def test_with_a_seed_draw_a_label_per_token_that_counts(self) -> None:
        backend = TorchBackend(nn.Linear(5, 3).double())
        state, labels = backend.initial_state(), np.tile(Y[:, None], 4)
        labels[:, 1] = -100
        drawn = sample_targets(
            backend.logits(state, (SERIES, labels)).numpy().reshape(-1, 3), seed=2
        ).reshape(N, 4)
        drawn[:, 1] = -100
        expected = backend.kronecker(state, (SERIES, drawn), seed=None)
        assert_same(backend.kronecker(state, (SERIES, labels), seed=2), expected)

    def test_with_a_seed_draw_a_label_per_pixel(self) -> None:
        backend = TorchBackend(nn.Conv2d(2, 3, 1).double())
        state, labels = backend.initial_state(), RNG.integers(0, 3, (N, 6, 5))
        scores = backend.logits(state, (IMAGES, labels)).numpy()
        drawn = sample_targets(np.moveaxis(scores, 1, -1).reshape(-1, 3), seed=0).reshape(
            labels.shape
        )
        expected = backend.kronecker(state, (IMAGES, drawn), seed=None)
        assert_same(backend.kronecker(state, (IMAGES, labels), seed=0), expected)

    @pytest.mark.parametrize("shape", [(N, 1), (N,)])
    def test_of_squared_error_have_the_exact_fisher_matrix_as_their_mean(
        self, shape: tuple[int, ...]
    ) -> None:
        backend = TorchBackend(nn.Linear(5, 1).double(), loss="squared_error")
        state, batch = backend.initial_state(), (X, np.zeros(shape))
        drawn = torch.stack(
            [backend.kronecker(state, batch, seed=seed)[0].outputs for seed in range(300)]
        )
        assert drawn.mean().item() == pytest.approx(2.0, abs=4 * drawn.std().item() / 300**0.5)

    @pytest.mark.parametrize(
        ("loss", "told"),
        [
            ("binary_cross_entropy", "the loss is 'binary_cross_entropy'"),
            (
                lambda f, y: functional.cross_entropy(f, y.long().argmax(1), reduction="none"),
                "the loss is a function",
            ),
        ],
    )
    def test_of_other_losses_are_for_given_labels_only(self, loss: Any, told: str) -> None:
        backend = TorchBackend(network(), loss=loss)
        state, batch = backend.initial_state(), (X, np.eye(3)[Y])
        assert len(backend.kronecker(state, batch, seed=None)) == 2
        with pytest.raises(
            InvalidSettingError,
            match=f"targets cannot be drawn where {told}, only for 'cross_entropy'",
        ):
            backend.kronecker(state, batch, seed=0)

    def test_what_cannot_be_scored_is_refused(self) -> None:
        backend = TorchBackend(network())
        with pytest.raises(InvalidDataError, match="label 3 is outside"):
            backend.kronecker(backend.initial_state(), (X, Y + 1), seed=0)
        assert not any(m._forward_hooks for m in backend._program.worker().module.modules())


def assert_same(blocks: list[KroneckerBlock], expected: list[KroneckerBlock]) -> None:
    assert [block.name for block in blocks] == [block.name for block in expected]
    for block, other in zip(blocks, expected, strict=True):
        torch.testing.assert_close((block.inputs, block.outputs), (other.inputs, other.outputs))


def test_no_hook_stays_and_the_models_own_are_respected() -> None:
    model = network()
    halve = model[0].register_forward_hook(lambda module, args, output: output / 2)
    hooks = [dict(m._forward_hooks) for m in model.modules()]
    backend = TorchBackend(model)
    state = backend.initial_state()
    blocks = backend.kronecker(state, (X, Y), seed=None)
    backend.features(state, (X, Y))
    assert [dict(m._forward_hooks) for m in model.modules()] == hooks
    assert sum(len(m._forward_hooks) for m in backend._program.worker().module.modules()) == 1
    halve.remove()
    # by what leaves the layer itself, before the model's own hook
    row = backend.sample_gradients(state, (X[:1], Y[:1]))[0][blocks[0].positions.ravel()]
    (block, _) = backend.kronecker(state, (X[:1], Y[:1]), seed=None)
    torch.testing.assert_close(torch.kron(block.outputs, block.inputs), torch.outer(row, row))
