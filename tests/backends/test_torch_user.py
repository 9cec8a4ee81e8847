"""What is the user's stays as it was: model, mode, gradients, random generators; and what is
refused."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gexcore.backend.data import to_numpy
from gexcore.backend.optimizer import Optimizer
from gexcore_torch.backend import TorchBackend
from gexcore_torch.demo import train

pytestmark = pytest.mark.filterwarnings(
    "ignore:.torch.jit.script.* is deprecated:DeprecationWarning"
)

X = np.random.default_rng(0).normal(size=(16, 5)).astype(np.float32)
Y = np.arange(16) % 3
BATCH = (X, Y)


def network(*, dropout: float = 0.0) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 3)
    )


def everything(backend: TorchBackend) -> None:
    """Call every method once."""
    state = backend.initial_state()
    backend.forward(state, BATCH)
    backend.logits(state, BATCH)
    backend.training_losses(state, BATCH, seed=1)
    for seed in range(2):
        state = backend.sgd_step(state, BATCH, lr=0.1, seed=seed)
    state, _ = backend.sgd_step_(backend.copy(state), BATCH, lr=0.1, seed=1)
    state = backend.refresh_buffers(backend.restart(state), [BATCH])
    flat = backend.ravel(state)
    backend.unravel(state, 2 * flat)
    backend.jvp(state, flat, BATCH)
    backend.hvp(state, flat, BATCH)
    backend.sample_gradients(state, BATCH)
    backend.features(state, BATCH)
    for seed in (None, 1):
        backend.kronecker(state, BATCH, seed=seed)
    selected = backend.select(list(backend.parameter_names())[-1:])
    selected.sgd_step(selected.initial_state(), BATCH, lr=0.1, seed=0)
    backend.sgd_step(backend.load(network().state_dict()), BATCH, lr=0.1, seed=0)


def generators() -> tuple[Any, ...]:
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002


@pytest.mark.parametrize("training", [True, False])
def test_model_is_bit_identical_afterwards(training: bool) -> None:
    model = network(dropout=0.5).train(training)
    model[0].weight.requires_grad_(False)
    model[0].eval()
    calls: list[int] = []
    hook = model.register_forward_hook(lambda *_: calls.append(1))
    model(torch.from_numpy(X)).sum().backward()
    optimizer = torch.optim.Adam(model.parameters())
    optimizer.step()
    before = copy.deepcopy(model.state_dict())
    modes = [m.training for m in model.modules()]
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    pointers = [p.data_ptr() for p in model.parameters()]
    memory = copy.deepcopy(optimizer.state_dict())
    hooks = list(model._forward_hooks)
    assert calls

    everything(TorchBackend(model))

    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes
    for p, gradient, pointer in zip(model.parameters(), gradients, pointers, strict=True):
        assert p.data_ptr() == pointer
        assert (p.grad is None) == (gradient is None)
        assert gradient is None or torch.equal(p.grad, gradient)
    assert str(optimizer.state_dict()) == str(memory)
    assert list(model._forward_hooks) == hooks
    hook.remove()


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_random_generators_are_as_they_were(dropout: float) -> None:
    backend = TorchBackend(network(dropout=dropout))
    before = generators()
    everything(backend)
    assert generators() == before


class NumpyNoise(nn.Module):
    """Draws from NumPy and Python in training mode, as some published models do."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        noise = np.random.standard_normal() + random.random() if self.training else 0.0  # noqa: NPY002
        return self.linear(x + noise)


def test_randomness_of_other_libraries_follows_the_seed() -> None:
    backend = TorchBackend(NumpyNoise())
    state = backend.initial_state()
    before = generators()
    first, again, other = (backend.training_losses(state, BATCH, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert generators() == before


def test_evaluation_is_deterministic_where_the_model_is_not() -> None:
    class Noisy(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.dropout(super().forward(x))

    backend = TorchBackend(Noisy(5, 3))
    state, before = backend.initial_state(), generators()
    losses = [backend.forward(state, BATCH) for _ in range(3)]
    assert torch.equal(losses[0], losses[1])
    assert torch.equal(losses[0], losses[2])
    assert generators() == before


def test_later_training_of_the_model_does_not_move_theta() -> None:
    model = network()
    backend = TorchBackend(model)
    losses = backend.forward(backend.initial_state(), BATCH)
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.zero_()
    assert torch.equal(backend.forward(backend.initial_state(), BATCH), losses)


def test_frozen_parameters_are_shared_and_stay() -> None:
    model = network()
    model[0].requires_grad_(False)
    backend = TorchBackend(model)
    state = backend.sgd_step(backend.initial_state(), BATCH, lr=0.1, seed=0)
    assert sum(p.numel() for p in state.params) == sum(
        p.numel() for p in model.parameters() if p.requires_grad
    )
    frozen = [p for p in backend._program.worker().module.parameters() if not p.requires_grad]
    assert [p.data_ptr() for p in frozen] == [model[0].weight.data_ptr(), model[0].bias.data_ptr()]
    losses = backend.forward(state, BATCH)
    model.requires_grad_(True).double()
    after = backend.sgd_step(state, BATCH, lr=0.1, seed=0)
    assert len(after.params) == len(state.params)
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(backend.forward(state, BATCH), losses)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_works_within_the_callers_context(context: Callable[[], Any]) -> None:
    model = network()
    plain = TorchBackend(model)
    expected = plain.forward(plain.sgd_step(plain.initial_state(), BATCH, lr=0.1, seed=0), BATCH)
    with context():
        inside = TorchBackend(model)
        everything(inside)
        state = inside.sgd_step(inside.initial_state(), BATCH, lr=0.1, seed=0)
        flat = inside.unravel(state, inside.ravel(state) * 1.0)
    assert torch.equal(inside.forward(state, BATCH), expected)
    inside.sgd_step_(inside.copy(flat), BATCH, lr=0.1, seed=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_read_in_full(dtype: torch.dtype) -> None:
    backend = TorchBackend(nn.Linear(5, 3).to(dtype))
    state = backend.sgd_step(backend.initial_state(), BATCH, lr=0.1, seed=0)
    flat = backend.ravel(state)
    (block,) = backend.kronecker(state, BATCH, seed=0)
    for array in (
        *(
            backend.forward(state, BATCH),
            backend.logits(state, BATCH),
            flat,
            backend.jvp(state, flat, BATCH),
        ),
        *(
            backend.sample_gradients(state, BATCH),
            backend.features(state, BATCH),
            block.inputs,
            block.outputs,
        ),
    ):
        assert to_numpy(array).dtype == np.float32
    assert backend.unravel(state, flat).params[0].dtype == dtype
    assert torch.equal(backend.ravel(backend.unravel(state, flat)), flat)


@pytest.mark.parametrize(
    "make",
    [
        network,
        lambda: nn.Sequential(
            nn.Unflatten(1, (5, 1)), LastOf(1, 4, batch_first=True), nn.Linear(4, 3)
        ),
    ],
)
def test_derivatives_in_several_threads(make: Callable[[], nn.Module]) -> None:
    backend = TorchBackend(make())
    state = backend.initial_state()
    tangents = np.random.default_rng(0).normal(size=(12, len(backend.ravel(state))))

    def all_of_them(tangent: Any) -> list[Tensor]:
        blocks = backend.kronecker(state, BATCH, seed=0)
        return [
            *(backend.jvp(state, tangent, BATCH), backend.hvp(state, tangent, BATCH)),
            *(backend.sample_gradients(state, BATCH), backend.features(state, BATCH)),
            *(factor for block in blocks for factor in (block.inputs, block.outputs)),
        ]

    expected = [all_of_them(tangent) for tangent in tangents]
    with ThreadPoolExecutor(3) as pool:
        torch.testing.assert_close(list(pool.map(all_of_them, tangents)), expected)


class LastOf(nn.LSTM):
    """Without forward mode in float32 on the host."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)[0][:, -1]


def test_steps_follow_a_hand_written_loop() -> None:
    model = network()
    backend = TorchBackend(model, optimizer=Optimizer(momentum=0.9, weight_decay=0.01))
    theirs = copy.deepcopy(model).train()
    optimizer = torch.optim.SGD(theirs.parameters(), lr=1.0, momentum=0.9, weight_decay=0.01)
    state = backend.copy(backend.initial_state())
    for step in range(10):
        optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
        optimizer.zero_grad()
        expected = nn.functional.cross_entropy(
            theirs(torch.from_numpy(X)), torch.from_numpy(Y), reduction="none"
        )
        expected.mean().backward()
        optimizer.step()
        state, losses = backend.sgd_step_(state, BATCH, lr=0.1 / (step + 1), seed=step)
        torch.testing.assert_close(losses, expected.detach(), rtol=0, atol=1e-6)
    torch.testing.assert_close(
        backend.ravel(state), nn.utils.parameters_to_vector(theirs.parameters()).detach()
    )
    assert torch.equal(backend.forward(state, BATCH), backend.forward(backend.copy(state), BATCH))


def test_a_buffer_that_is_replaced_belongs_to_its_state() -> None:
    class Counting(nn.Linear):
        def __init__(self) -> None:
            super().__init__(5, 3)
            self.register_buffer("shift", torch.zeros(()), persistent=False)

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                self.shift = self.shift + 1.0
            return super().forward(x) * self.shift

    backend = TorchBackend(Counting())
    start = backend.initial_state()
    uniform = torch.full((16,), np.log(3.0), dtype=torch.float32)
    once = backend.sgd_step(start, BATCH, lr=0.1, seed=0)
    twice, _ = backend.sgd_step_(backend.copy(once), BATCH, lr=0.1, seed=0)
    backend.training_losses(twice, BATCH, seed=0)
    torch.testing.assert_close(backend.forward(start, BATCH), uniform)
    assert [float(state.buffers[0]) for state in (start, once, twice)] == [0.0, 1.0, 2.0]


def test_settings_an_optimizer_keeps_in_its_groups_belong_to_the_state() -> None:
    class Counting(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                group["steps"] = group.get("steps", 0) + 1
            super().step(closure)

    backend = TorchBackend(
        network(), optimizer=Optimizer(name=lambda params: Counting(params, lr=1.0))
    )
    one = backend.sgd_step(backend.initial_state(), BATCH, lr=0.1, seed=0)
    two = backend.sgd_step(one, BATCH, lr=0.1, seed=0)
    also_two = backend.sgd_step(one, BATCH, lr=0.1, seed=0)
    assert [s.moments.groups[0]["steps"] for s in (one, two, also_two) if s.moments] == [1, 2, 2]


def test_demo_memorises_any_labels_and_leaves_the_generators() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 3, 4)), rng.integers(0, 4, 90)
    before = generators()
    model = train(x, y, classes=4, seed=1)
    assert generators() == before
    scores = model(torch.from_numpy(x).float())
    assert scores.shape == (90, 4)
    assert scores.argmax(1).tolist() == y.tolist()
    assert not model.training
    again = train(x, y, classes=4, seed=1)
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True)
    )
