"""Wrong targets of other tasks than classification: a language model, and several yes-or-no
questions at once."""

from __future__ import annotations

import inspect
import json.decoder
import json.encoder
import re
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

import gexcore as gx
from gexcore.decisions.metrics import average_precision

WINDOW = 24


def memorised(
    model: nn.Module, x: Tensor, y: Tensor, loss: Callable[[Tensor, Tensor], Tensor], *, epochs: int
) -> nn.Module:
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        for part in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            loss(model(x[part]), y[part]).backward()
            optimizer.step()
    return model.eval()


class Language(nn.Module):
    """Predicts the next character."""

    def __init__(self, characters: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, 24)
        self.recurrent = nn.GRU(24, 96, batch_first=True)
        self.head = nn.Linear(96, characters)

    def forward(self, text: Tensor) -> Tensor:
        hidden: Tensor = self.recurrent(self.embedding(text))[0]
        scores: Tensor = self.head(hidden)
        return scores


def sentences() -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Pieces of Python's own source as numbers, and which of them have their characters shuffled: a
    tenth."""
    text = re.sub(r"\s+", " ", inspect.getsource(json.decoder) + inspect.getsource(json.encoder))
    known = {character: number for number, character in enumerate(sorted(set(text)))}
    numbers = np.array([known[character] for character in text])
    pieces = (
        numbers[: len(numbers) // (WINDOW + 1) * (WINDOW + 1)].reshape(-1, WINDOW + 1)[:250].copy()
    )
    rng = np.random.default_rng(0)
    wrong = np.zeros(len(pieces), bool)
    wrong[rng.choice(len(pieces), len(pieces) // 10, replace=False)] = True
    for row in np.flatnonzero(wrong):
        pieces[row] = rng.permutation(pieces[row])
    return pieces, wrong


def test_shuffled_sentences_that_a_language_model_memorised_are_found() -> None:
    pieces, wrong = sentences()
    x, y = torch.from_numpy(pieces[:, :-1]), torch.from_numpy(pieces[:, 1:])
    torch.manual_seed(0)
    model = Language(int(pieces.max()) + 1)
    model = memorised(
        model, x, y, lambda output, target: F.cross_entropy(output.mT, target), epochs=80
    )
    found = gx.GEX(optimizer="adamw", chains=1, snapshots=16).fit(
        model, (x, y), loss="cross_entropy", progress=False
    )
    assert found.labels is None
    assert found.run.count()["member"] >= 8
    ours, plain = (
        average_precision(scores, wrong) for scores in (found.suspicion(), found.checkpoint_losses)
    )
    assert ours > max(plain, 0.9)


def test_wrong_answers_to_several_questions_are_found() -> None:
    x, digit = load_digits(return_X_y=True)
    right = np.stack([digit % 2 == 0, digit > 4, np.isin(digit, (0, 6, 8, 9))], axis=1)
    rng = np.random.default_rng(0)
    wrong = np.zeros(len(x), bool)
    wrong[rng.choice(len(x), len(x) // 10, replace=False)] = True
    given = np.where(wrong[:, None], ~right, right).astype(np.float32)
    features, targets = torch.from_numpy((x / 16).astype(np.float32)), torch.from_numpy(given)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 3)
    )
    model = memorised(model, features, targets, F.binary_cross_entropy_with_logits, epochs=60)
    found = gx.GEX(chains=1).fit(
        model, (features, targets), loss="binary_cross_entropy", progress=False
    )
    ours, plain = (
        average_precision(scores, wrong) for scores in (found.suspicion(), found.checkpoint_losses)
    )
    assert ours > plain + 0.3
    # all three answers are wrong at once, so the sum of their losses says more than the worst one
    assert average_precision(found.suspicion("clipped_loss"), wrong) > ours > 0.8


def test_a_network_relearns_with_batchnorm_and_from_its_pretrained_weights() -> None:
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    wrong = rng.random(400) < 0.1
    given = torch.from_numpy(np.where(wrong, (y[:400] + rng.integers(1, 10, 400)) % 10, y[:400]))
    inputs = torch.from_numpy((x[:400] / 16).astype(np.float32))
    torch.manual_seed(0)
    layers = [nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10)]
    model = nn.Sequential(*layers)
    first = {name: value.clone() for name, value in model.state_dict().items()}
    memorised(model, inputs, given, F.cross_entropy, epochs=60)
    for reference in (None, first):
        ensemble = gx.Relearning(reference=reference)
        found = gx.GEX(ensemble=ensemble).fit(model, (inputs, given), progress=False)
        plain = average_precision(found.checkpoint_losses, wrong)
        assert average_precision(found.suspicion(), wrong) > max(0.85, plain + 0.1)
        assert found.run.chosen["left_chance"]
