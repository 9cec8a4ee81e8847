"""Suspicion of labels, tokens and pixels in PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

import gexcore as gx
from gexcore.decisions.metrics import average_precision
from gexcore.errors import InvalidSettingError, MissingCapabilityError

QUICK = gx.GEX(chains=1, snapshots=2, lr=1e-3, steps_per_snapshot=2, scoring="evaluated")
FINAL = gx.GEX(chains=1, snapshots=2, lr=1e-3, steps_per_snapshot=2, scoring="evaluated", keep=0)
torch.set_num_threads(1)


class Tagger(nn.Module):
    """Scores of 3 tags for each token."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(9, 6), nn.Linear(6, 3)

    def forward(self, tokens: torch.Tensor) -> Any:
        return self.head(self.embedding(tokens))


@pytest.fixture(scope="module")
def several() -> tuple[Any, Any, Any, Any]:
    """A function that trains on digits with four labels each, the data, and the wrong labels."""
    x, digit = (array[:800] for array in load_digits(return_X_y=True))
    right = np.stack(
        [digit % 2 == 0, digit > 4, np.isin(digit, (0, 6, 8, 9)), digit % 3 == 0], axis=1
    )
    wrong = np.random.default_rng(0).random(right.shape) < 0.05
    given = torch.from_numpy(np.where(wrong, ~right, right).astype(np.float32))
    inputs = torch.from_numpy((x / 16).astype(np.float32))

    def train(epochs: int) -> nn.Module:
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 4)
        )
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        for _ in range(epochs):
            for part in torch.randperm(len(x)).split(32):
                optimizer.zero_grad()
                F.binary_cross_entropy_with_logits(model(inputs[part]), given[part]).backward()
                optimizer.step()
        return model

    return train, inputs, given, wrong


def test_the_wrong_label_of_several_is_found(several: Any) -> None:
    train, inputs, given, wrong = several
    model = train(80)
    found = gx.GEX(chains=1).fit(model, inputs, given, loss="binary_cross_entropy", progress=False)
    scores = found.part_suspicion()
    assert scores.shape == wrong.shape
    with torch.no_grad():
        plain = F.binary_cross_entropy_with_logits(model(inputs), given, reduction="none").numpy()
    ours = average_precision(scores.ravel(), wrong.ravel())
    assert ours > average_precision(plain.ravel(), wrong.ravel()) + 0.05
    # of a sample with one wrong label, the part says which
    one = np.flatnonzero(wrong.sum(axis=1) == 1)
    which, plainly, truth = (a[one].argmax(axis=1) for a in (scores, plain, wrong))
    assert (which == truth).mean() > max(0.8, (plainly == truth).mean())


@pytest.mark.parametrize("epochs", [6, 60])
def test_samples_with_a_wrong_label_rank_above_the_plain_loss(several: Any, epochs: int) -> None:
    train, inputs, given, wrong = several
    found = gx.GEX().fit(train(epochs), inputs, given, loss="binary_cross_entropy", progress=False)
    assert found.score == "worst_label"
    samples = wrong.any(axis=1)
    scores, plain = found.suspicion(), average_precision(found.checkpoint_losses, samples)
    assert average_precision(scores, samples) > plain + 0.03
    # the control: the same scores of other samples find nothing
    mixed = np.random.default_rng(1).permutation(scores)
    assert average_precision(mixed, samples) < samples.mean() + 0.1
    np.testing.assert_allclose(found.part_suspicion().max(axis=1), scores, rtol=1e-9)
    np.testing.assert_allclose(
        found.part_suspicion([5, 2]), found.part_suspicion()[[5, 2]], rtol=1e-12
    )
    assert (found.standard_error() >= 0).all()
    assert found.reliability() > 0.5


def test_without_kept_members_or_zeros_and_ones_the_clipped_loss_decides(several: Any) -> None:
    train, inputs, given, _ = several
    model = train(6)
    how: dict[str, Any] = {"loss": "binary_cross_entropy", "progress": False}
    for gex, targets in ((FINAL, given), (QUICK, 0.8 * given + 0.1)):
        found = gex.fit(model, inputs, targets, **how)
        assert found.score == "clipped_loss"
        with pytest.raises(InvalidSettingError, match="'worst_label' needs several labels of each"):
            found.suspicion("worst_label")


def test_tokens_without_a_label_are_nan_and_the_others_average_to_the_loss() -> None:
    torch.manual_seed(0)
    model, rng = Tagger(), np.random.default_rng(0)
    tokens, tags = rng.integers(0, 9, (40, 5)), rng.integers(0, 3, (40, 5))
    hidden = rng.random((40, 5)) < 0.3
    hidden[:, 0] = False
    tags[hidden] = -100
    found = FINAL.fit(model, tokens, tags, progress=False)
    scores = found.part_suspicion()
    np.testing.assert_array_equal(np.isnan(scores), hidden)
    np.testing.assert_allclose(np.nanmean(scores, axis=1), found.base_losses, rtol=1e-5)


def test_sequences_of_unequal_lengths_end_in_nan() -> None:
    torch.manual_seed(0)
    lengths = np.random.default_rng(1).integers(2, 7, 40)
    lengths[3] = 9
    rows = [{"tokens": np.arange(n) % 9, "labels": np.arange(n) % 3} for n in lengths]

    def pad(samples: list[Any]) -> Any:
        sequences = nn.utils.rnn.pad_sequence
        return {
            "tokens": sequences([torch.as_tensor(s["tokens"]) for s in samples], True),
            "labels": sequences([torch.as_tensor(s["labels"]) for s in samples], True, -100),
        }

    found = FINAL.fit(Tagger(), rows, collate_fn=pad, progress=False)
    scores = found.part_suspicion()
    assert scores.shape == (40, 9)
    np.testing.assert_array_equal(np.isfinite(scores).sum(axis=1), lengths)


def test_pixels_have_the_shape_of_their_labels() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    images, masks = rng.normal(size=(24, 3, 4, 6)), rng.integers(0, 2, (24, 4, 6))
    masks[5, 2, 3] = -100
    model = nn.Conv2d(3, 2, 1)
    found = FINAL.fit(model, images.astype(np.float32), masks, progress=False)
    scores = found.part_suspicion(np.array([5, 0]))
    assert scores.shape == (2, 4, 6)
    assert np.argwhere(np.isnan(scores)).tolist() == [[0, 2, 3]]


def test_the_tokens_of_a_causal_language_model_stand_where_their_labels_stand() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=11, n_positions=8, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    ids = torch.from_numpy(np.random.default_rng(0).integers(0, 11, (24, 6)))
    labels = ids.clone()
    labels[:, 1] = -100
    found = FINAL.fit(model, {"input_ids": ids, "labels": labels}, progress=False)
    scores = found.part_suspicion()
    with torch.no_grad():
        log_p = model(ids).logits.log_softmax(-1)
    expected = -log_p[:, :-1].gather(2, ids[:, 1:, None])[:, :, 0].numpy()
    assert np.isnan(scores[:, :2]).all()
    np.testing.assert_allclose(scores[:, 2:], expected[:, 1:], rtol=1e-4)


def test_a_loss_of_the_users_own_has_no_parts() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 4)).astype(np.float32), (rng.random((24, 3)) < 0.5).astype("f4")

    def own(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(output, target, reduction="none").sum(1)

    with pytest.raises(MissingCapabilityError, match="SupportsPartLosses"):
        QUICK.fit(nn.Linear(4, 3), x, y, loss=own, progress=False).part_suspicion()
