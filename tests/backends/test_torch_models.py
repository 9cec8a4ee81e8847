"""What the backend takes, finds out about and refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gexcore.backend.capabilities import supports
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import SupportsBufferRefresh, SupportsLogits
from gexcore.backend.registry import BackendRegistry
from gexcore.errors import InvalidDataError, InvalidModelError
from gexcore_torch.backend import TorchBackend
from gexcore_torch.plugin import gexcore_register_backend

# importing torch.compile's machinery
pytestmark = pytest.mark.filterwarnings(
    "ignore:.torch.jit.script.* is deprecated:DeprecationWarning"
)

BATCH = (np.random.default_rng(0).normal(size=(16, 5)).astype(np.float32), np.arange(16) % 3)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


@pytest.mark.parametrize(
    "wrap",
    [
        nn.DataParallel,
        lambda m: torch.compile(m, backend="eager"),
        lambda m: torch.compile(nn.DataParallel(m), backend="eager"),
    ],
)
def test_wrappers_are_taken_off(wrap: Callable[[nn.Module], Any]) -> None:
    model = network()
    wrapped, plain = TorchBackend(wrap(model)), TorchBackend(model)
    assert torch.equal(
        wrapped.forward(wrapped.initial_state(), BATCH), plain.forward(plain.initial_state(), BATCH)
    )


def test_capabilities_of_the_instance() -> None:
    assert supports(TorchBackend(network()), SupportsBufferRefresh)
    assert not supports(TorchBackend(nn.Linear(5, 3)), SupportsBufferRefresh)
    assert supports(TorchBackend(nn.Linear(5, 3)), SupportsLogits)
    assert not supports(TorchBackend(nn.Linear(5, 3), loss="squared_error"), SupportsLogits)


def test_registry_finds_it() -> None:
    class Plugin:
        pass

    plugin = Plugin()
    plugin.gexcore_register_backend = gexcore_register_backend  # type: ignore[attr-defined]
    registry = BackendRegistry()
    registry.register(plugin, "torch")
    assert registry.find(network()) == "torch"
    assert isinstance(registry.create(network(), backend="torch"), TorchBackend)


class Uncopyable(nn.Linear):
    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        raise RuntimeError("a lock inside")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TorchBackend(lambda x: x),
            "takes an nn.Module, not function; give the trained module itself"),
        (lambda: TorchBackend(network().requires_grad_(False)),
            "Sequential has no trainable parameters; set requires_grad"),
        (lambda: TorchBackend(nn.Identity()), "Identity has no trainable parameters"),
        (lambda: TorchBackend(nn.LazyLinear(3)),
            "LazyLinear has lazy parameters without a shape; run the model"),
        (lambda: TorchBackend(network().to("meta")),
            'Sequential has parameters on the device "meta", which have no values; load'),
        (lambda: TorchBackend(Uncopyable(5, 3)),
            r"Uncopyable cannot be copied with copy.deepcopy \(a lock inside\)"),
        (lambda: TorchBackend(network(), loss="hinge"),
            "no loss named 'hinge'; allowed are cross_entropy, squared_error"),
        (lambda: TorchBackend(network(), optimizer=Optimizer(name="lion")),
            "no optimizer named 'lion'; allowed are 'sgd'"),
        (lambda: TorchBackend(network(), optimizer=Optimizer(name=lambda p: 3)),
            "returned int; it must return a torch.optim"),
        (
            lambda: TorchBackend(network(),
                optimizer=Optimizer(name=lambda p: torch.optim.SGD(network().parameters()))),
            "of other parameters than it was given; use its argument",
        ),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_at_construction(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(InvalidModelError, match=message):
        make()


def test_a_loss_that_ignores_the_parameters_is_refused() -> None:
    backend = TorchBackend(network(), loss=lambda output, target: output.detach().sum(1))
    with pytest.raises(InvalidModelError, match="do not depend on any trainable parameter"):
        backend.sgd_step(backend.initial_state(), BATCH, lr=0.1, seed=0)


def test_vectors_of_another_size_and_no_batches_are_refused() -> None:
    backend = TorchBackend(network())
    state = backend.initial_state()
    p = len(backend.ravel(state))
    with pytest.raises(InvalidDataError, match=rf"shape \({p},\) for this model, not \(3,\)"):
        backend.jvp(state, np.zeros(3), BATCH)
    with pytest.raises(InvalidDataError, match="no batches to estimate the statistics"):
        backend.refresh_buffers(state, [])
