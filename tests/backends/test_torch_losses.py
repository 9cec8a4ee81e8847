"""Losses by name and the user's own: values, and one sentence for what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import gexcore as gx
from gexcore.backend.losses import scores_of
from gexcore.errors import InvalidDataError, InvalidModelError, InvalidSettingError
from gexcore_torch.backend import TorchBackend
from gexcore_torch.losses import (
    binary_cross_entropy,
    check_labels,
    cross_entropy,
    loss_of,
    squared_error,
)

CPU = torch.device("cpu")


def normal(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=shape))


@settings(deadline=None)
@given(b=st.integers(1, 5), k=st.integers(2, 6), seed=st.integers(0, 1000))
def test_cross_entropy_of_labels_is_that_of_one_hot_rows(b: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, labels = (
        torch.from_numpy(rng.normal(size=(b, k))),
        torch.from_numpy(rng.integers(0, k, b)),
    )
    one_hot = nn.functional.one_hot(labels, k).double()
    expected = torch.logsumexp(scores, 1) - scores[torch.arange(b), labels]
    torch.testing.assert_close(cross_entropy(scores, labels), expected)
    torch.testing.assert_close(cross_entropy(scores, one_hot), expected)


def test_cross_entropy_of_tokens_is_a_mean_over_those_that_count() -> None:
    scores, labels = normal(2, 4, 3), torch.tensor([[0, 1, -100, 2], [-100, -100, 1, -100]])
    losses = cross_entropy(scores, labels)
    first = nn.functional.cross_entropy(scores[0, [0, 1, 3]], torch.tensor([0, 1, 2]))
    second = nn.functional.cross_entropy(scores[1, [2]], torch.tensor([1]))
    torch.testing.assert_close(losses, torch.stack([first, second]))
    assert cross_entropy(scores[:1], torch.full((1, 4), -100)).tolist() == [0.0]


def test_cross_entropy_of_pixels_has_classes_second() -> None:
    scores, labels = normal(2, 3, 4, 5), torch.arange(40).reshape(2, 4, 5) % 3
    expected = nn.functional.cross_entropy(scores, labels, reduction="none").mean((1, 2))
    torch.testing.assert_close(cross_entropy(scores, labels), expected)


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_a_single_output_meets_targets_of_either_shape(shape: tuple[int, ...]) -> None:
    output, target = normal(4, 1), torch.tensor([0, 1, 1, 0]).reshape(shape)
    squares = (output[:, 0] - target.reshape(-1)) ** 2
    torch.testing.assert_close(squared_error(output, target), squares)
    torch.testing.assert_close(squared_error(output[:, 0], target), squares)
    expected = -torch.log(torch.sigmoid(output[:, 0] * (2 * target.reshape(-1) - 1)))
    torch.testing.assert_close(binary_cross_entropy(output, target.bool()), expected)


def test_several_outputs_are_summed() -> None:
    output, target = normal(4, 2, 3), torch.ones(4, 2, 3)
    torch.testing.assert_close(squared_error(output, target), ((output - 1) ** 2).sum((1, 2)))
    expected = -torch.log(torch.sigmoid(output)).sum((1, 2))
    torch.testing.assert_close(binary_cross_entropy(output, target), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_scores_give_full_precision_losses(dtype: torch.dtype) -> None:
    losses = cross_entropy(normal(3, 4).to(dtype), torch.tensor([0, 1, 2]))
    assert losses.dtype == torch.float32


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (InvalidDataError, lambda: cross_entropy(normal(2, 3), torch.zeros(2)),
            "torch.float32 targets of shape"),
        (InvalidDataError, lambda: cross_entropy(normal(2, 3), torch.tensor([0, 3])),
            "label 3 is outside 0 … 2, the 3"),
        (InvalidDataError, lambda: cross_entropy(normal(2, 3), torch.tensor([-1, 0])),
            "label -1 is outside 0 … 2"),
        (InvalidDataError, lambda: cross_entropy(normal(2, 3), torch.zeros(3, dtype=torch.int64)),
            r"labels of shape \(3,\)"),
        (InvalidDataError, lambda: cross_entropy(normal(2, 3),
            torch.zeros(2, 2, dtype=torch.int64)), r"shape \(2, 2\) for"),
        (InvalidDataError, lambda: cross_entropy(normal(2, 3), ["a", "b"]),
            "targets are of type list"),
        (InvalidModelError, lambda: cross_entropy(normal(2, 1), torch.tensor([0, 0])),
            "loss='binary_cross_entropy'"),
        (InvalidModelError, lambda: cross_entropy(normal(2), torch.tensor([0, 0])),
            "needs scores of shape"),
        (InvalidModelError, lambda: cross_entropy((1, 2), torch.tensor([0, 0])),
            "the model returned tuple, and cross_"),
        (InvalidDataError, lambda: squared_error(normal(4, 2), normal(4)),
            "give one target per output"),
        (InvalidDataError, lambda: squared_error(normal(4, 2, 3), normal(4, 3, 2)),
            "give one target per output"),
        (InvalidDataError, lambda: squared_error(normal(4), torch.tensor(1.0)),
            "give one target per output"),
        (InvalidModelError, lambda: loss_of("mae", CPU),
            "no loss named 'mae'; allowed are cross_entropy"),
        (InvalidModelError,
            lambda: loss_of(nn.CrossEntropyLoss(), CPU)(normal(2, 3), torch.tensor([0, 1])),
         r"the loss returned one number for 2 samples; it must return shape \(2,\): "
         "leave the mean out"),
        (InvalidModelError,
            lambda: loss_of(nn.MSELoss(reduction="none"), CPU)(normal(2, 3), normal(2, 3)),
         r"the loss returned shape \(2, 3\) for 2 samples"),
        (InvalidModelError, lambda: loss_of(lambda f, y: 1.0, CPU)(normal(2, 3), normal(2)),
            "returned one number"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(
    error: type[Exception], call: Callable[[], object], message: str
) -> None:
    with pytest.raises(error, match=message):
        call()


def test_labels_on_a_device_are_checked_in_evaluation() -> None:
    """The host's own check does not exist there, so the explicit one must say the same."""
    check_labels(torch.tensor([0, 2, -100]), 3)
    with pytest.raises(
        InvalidDataError,
        match="label 5 is outside 0 … 2, the 3 classes of the model; recode the labels",
    ):
        check_labels(torch.tensor([0, 5, -7]), 3)


def test_binary_targets_are_checked_in_evaluation() -> None:
    backend = TorchBackend(nn.Linear(2, 1), loss="binary_cross_entropy")
    with pytest.raises(
        InvalidDataError, match="targets outside 0 … 1; only 0, 1 and probabilities"
    ):
        backend.forward(backend.initial_state(), (np.ones((2, 2)), np.array([-1, 1])))


def test_a_loss_module_is_copied_and_not_trained() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            return self.scale * cross_entropy(output, target)

    loss = Scaled()
    backend = TorchBackend(nn.Linear(2, 3), loss=loss)
    backend.sgd_step(backend.initial_state(), (np.ones((2, 2)), np.array([0, 1])), lr=1.0, seed=0)
    assert loss.scale.grad is None
    assert loss.scale.item() == 1.0
    assert loss.scale.requires_grad


@pytest.mark.parametrize(
    "wrap", [lambda t: t, lambda t: {"logits": t}, lambda t: type("Output", (), {"logits": t})()]
)
def test_logits_are_found(wrap: Callable[[Tensor], Any]) -> None:
    scores = normal(2, 3)
    assert scores_of(wrap(scores)) is scores


OWN = {
    "squared": lambda output, y: ((output - y) ** 2).sum(1),
    "huber": lambda output, y: nn.functional.huber_loss(output, y, reduction="none").sum(1),
    "quantile": lambda output, y: torch.maximum(0.7 * (y - output), 0.3 * (output - y)).sum(1),
    "weighted": lambda output, y: 5.0 * ((output - y) ** 2).sum(1),
}


@pytest.mark.parametrize("name", OWN)
def test_an_own_loss_of_numbers_needs_no_chance_loss(name: str) -> None:
    from gexcore.backend.data import as_dataset
    from gexcore.ensembles.skill import chance_loss
    from gexcore.evaluation.constant import constant_loss

    torch.manual_seed(0)
    x = torch.randn(200, 3)
    y = x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.1 * torch.randn(200, 1)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(100):
        optimizer.zero_grad()
        OWN["squared"](model(x), y).mean().backward()
        optimizer.step()
    short = {"chains": 2, "snapshots": 4, "seed": 0}
    found = gx.GEX(**short).fit(model, (x, y), loss=OWN[name], progress=False)
    assert found.run.count()["member"] > 0

    backend = TorchBackend(model, loss=OWN[name])
    estimate = constant_loss(backend, as_dataset((x, y), backend))
    right = (OWN[name](torch.full((200, 1), v), y).median().item() for v in np.linspace(-2, 2, 81))
    assert 0.7 < estimate / min(right) < 1.5
    assert chance_loss(OWN[name], y.numpy()) is None  # nothing else knows it


def test_an_own_loss_below_zero_still_asks() -> None:
    x, y = torch.randn(40, 2), torch.randn(40, 1)
    with pytest.raises(InvalidSettingError, match="set chance_loss to what a model"):
        gx.GEX(chains=1, snapshots=2).fit(
            nn.Linear(2, 1), (x, y), loss=lambda o, t: (o - t)[:, 0] ** 2 - 100, progress=False
        )
