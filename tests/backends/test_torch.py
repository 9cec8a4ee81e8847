"""The torch backend against the shipped laws: the oracle's toys, and the models people have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gexcore.backend.optimizer import Optimizer
from gexcore.testing import checks, derivatives, gradients, kronecker, optional, selection
from gexcore.testing.problems import Problem, Toy
from gexcore.testing.suite import BackendTests
from gexcore_torch.backend import TorchBackend
from gexcore_torch.state import TorchState

# PyTorch's forward mode uses it on its first use
pytestmark = pytest.mark.filterwarnings(
    "ignore:.torch.jit.script. is deprecated:DeprecationWarning"
)

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def perceptron(toy: Toy) -> nn.Module:
    """The toy's model in PyTorch."""
    layers: list[nn.Module] = []
    last = len(toy.model.weights) - 1
    for i, (weight, bias) in enumerate(zip(toy.model.weights, toy.model.biases, strict=True)):
        linear = nn.Linear(*weight.shape)
        linear.load_state_dict(
            {"weight": torch.tensor(weight.T.copy()), "bias": torch.tensor(bias)}, assign=True
        )
        layers.append(linear)
        if i < last and toy.model.batch_norm is not None:
            norm = toy.model.batch_norm[i]
            module = nn.BatchNorm1d(weight.shape[1], dtype=torch.from_numpy(weight).dtype)
            values = {
                "weight": norm.scale,
                "bias": norm.offset,
                "running_mean": norm.mean,
                "running_var": norm.var,
            }
            module.load_state_dict({k: torch.tensor(v) for k, v in values.items()}, strict=False)
            layers.append(module)
        if i < last:
            layers.append(ACTIVATIONS[toy.model.activation]())
    return nn.Sequential(*layers)


def checkpoint(backend: TorchBackend, state: TorchState) -> dict[str, Tensor]:
    """What `torch.save` would be given in a training of one's own."""
    module = backend._program.worker().ready(state, training=False)
    return {name: value.clone() for name, value in module.state_dict().items()}


class TestOracle(BackendTests):
    def build(self, toy: Toy) -> TorchBackend:
        return TorchBackend(perceptron(toy), loss=toy.loss, optimizer=toy.optimizer)

    def checkpoint(self, backend: TorchBackend, state: TorchState) -> dict[str, Tensor]:
        return checkpoint(backend, state)


class Encoder(nn.Module):
    """Attention, embeddings and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(8, 3)

    def forward(self, tokens: Tensor) -> Any:
        return self.head(self.encoder(self.embedding(tokens)).mean(1))


class Recurrent(nn.Module):
    """A fused LSTM that returns a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 6, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.lstm(x)[0][:, -1])


class Tied(nn.Module):
    """One weight used twice, under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(5, 5), nn.Linear(5, 5)
        self.outer.weight = self.inner.weight
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.outer(torch.tanh(self.inner(x))))


@dataclass
class Output:
    """As Hugging Face returns it."""

    logits: Tensor
    loss: None = None


class Keywords(nn.Module):
    """Takes its inputs by name, and labels that it must not be given."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 8)
        self.head = nn.Linear(8, 3)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor | None = None
    ) -> Output:
        assert labels is None
        weights = (attention_mask / attention_mask.sum(1, keepdim=True))[..., None]
        return Output(self.head(torch.tanh(self.embedding(input_ids) * weights).sum(1)))


class Branches(nn.Module):
    """Two inputs, one of them through a frozen layer."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen, self.free = nn.Linear(4, 3).requires_grad_(False), nn.Linear(2, 3)
        self.head = nn.Linear(3, 3)

    def forward(self, left: Tensor, right: Tensor) -> Any:
        return self.head(torch.tanh(self.frozen(left)) + self.free(right))


N = 24
LABELS = np.random.default_rng(0).permutation(np.arange(N) % 3)
TOKENS = np.random.default_rng(1).integers(0, 7, (N, 4))


def numbers(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(2).normal(size=(N, *shape))


def convolutional() -> Problem:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 3),
    )
    return Problem(TorchBackend(model.double()), (numbers(1, 6, 6), LABELS))


def dropout() -> Problem:
    model = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Dropout(0.5), nn.Linear(16, 3)).double()
    return Problem(TorchBackend(model), (numbers(5), LABELS), stochastic=True)


def encoder() -> Problem:
    backend = TorchBackend(Encoder().double(), optimizer=Optimizer(name="adamw"))
    return Problem(backend, (TOKENS, LABELS), lr=0.002, stochastic=True)


def recurrent() -> Problem:
    return Problem(TorchBackend(Recurrent().double()), (numbers(3, 4), LABELS))


def fused_recurrent() -> Problem:
    return Problem(TorchBackend(Recurrent()), (numbers(3, 4), LABELS), precision="float32")


def tied() -> Problem:
    return Problem(TorchBackend(Tied().double()), (numbers(5), LABELS))


def keywords() -> Problem:
    mask = np.arange(4) < np.random.default_rng(3).integers(1, 5, N)[:, None]
    data = {"input_ids": TOKENS, "attention_mask": mask.astype(np.int64), "labels": LABELS}
    return Problem(TorchBackend(Keywords().double()), data)


def branches() -> Problem:
    return Problem(TorchBackend(Branches().double()), (numbers(4), numbers(2), LABELS))


def soft_labels() -> Problem:
    p = np.exp(numbers(3))
    return Problem(
        TorchBackend(nn.Linear(5, 3).double()), (numbers(5), p / p.sum(1, keepdims=True))
    )


def binary() -> Problem:
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    data = (numbers(5), LABELS == 0)
    return Problem(TorchBackend(model, loss="binary_cross_entropy"), data, classifies=False)


def own_loss_and_optimizer() -> Problem:
    loss = nn.CrossEntropyLoss(torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64), reduction="none")
    native = Optimizer(
        name=lambda params: torch.optim.Adagrad(params, initial_accumulator_value=0.1)
    )
    return Problem(
        TorchBackend(nn.Linear(5, 3).double(), loss=loss, optimizer=native),
        (numbers(5), LABELS),
        classifies=False,
    )


def selected() -> Problem:
    whole = convolutional()
    return replace(whole, backend=whole.backend.select(["5.bias", "0.weight", "1.weight"]))  # type: ignore[attr-defined]


PROBLEMS: dict[str, Callable[[], Problem]] = {
    make.__name__: make
    for make in (
        convolutional,
        dropout,
        encoder,
        recurrent,
        fused_recurrent,
        tied,
        keywords,
        branches,
        soft_labels,
        binary,
        own_loss_and_optimizer,
        selected,
    )
}


class TestModels(BackendTests):
    laws = (
        *checks.LAWS,
        *optional.LAWS,
        *derivatives.LAWS,
        *gradients.LAWS,
        *kronecker.LAWS,
        *selection.LAWS,
    )

    @pytest.fixture(params=PROBLEMS)
    def problem(self, request: pytest.FixtureRequest) -> Problem:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            made = PROBLEMS[request.param]()
        backend: Any = made.backend
        return replace(made, checkpoint=partial(checkpoint, backend))
